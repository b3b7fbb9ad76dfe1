package handler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Whoever tries tokens is counted and logged, not once a try, and never with what
// he tried; whoever knows the token is let in all the while.
func TestGuessedTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const tries = 200
	for i := range tries {
		guess := fmt.Sprintf("guess%d", i)
		if w := r.do(t, http.MethodGet, "/api/v1/agents", "", "Authorization", "Bearer "+guess); w.Code != http.StatusUnauthorized {
			t.Fatalf("%s: %d, want 401", guess, w.Code)
		}
	}
	if w := r.do(t, http.MethodGet, "/api/v1/nothing", "", "Authorization", "Bearer "+r.admin); w.Code != http.StatusNotFound {
		t.Errorf("with the token: %d, want 404", w.Code)
	}
	if w := r.do(t, http.MethodGet, "/metrics", ""); !strings.Contains(w.Body.String(), fmt.Sprintf("\nkefud_admin_refused_total %d\n", tries)) {
		t.Errorf("not all tries are counted:\n%s", w.Body)
	}
	if n := strings.Count(r.log.String(), "administration refused"); n < 1 || n > 20 || strings.Contains(r.log.String(), "guess") {
		t.Errorf("%d tries left %d lines in the log, want few, without what was tried:\n%.2000s", tries, n, r.log)
	}
	if !strings.Contains(r.log.String(), `"from":"192.0.2.1"`) {
		t.Errorf("the log does not say who tried: %s", r.log)
	}
}
