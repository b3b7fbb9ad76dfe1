package simulator

import (
	"net/http"
	"testing"
)

// While the API is down, connections are refused; it comes back where it was.
// Calls are counted whatever they are answered with.
func TestAPIDown(t *testing.T) {
	t.Parallel()
	b := New(Options{})
	t.Cleanup(b.Close)
	base, err := b.Start(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	const path = "/cgi-bin/token"
	call := func() int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close() // nothing is read from it
		return resp.StatusCode
	}
	for _, want := range []int{200, 503} {
		if want == 503 {
			defer b.BreakAPI(APIBreak{Status: 503})()
		}
		if got := call(); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	up := b.Down()
	if got := call(); got != 0 {
		t.Errorf("down: status %d", got)
	}
	if err := up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := call(); got != 503 {
		t.Errorf("up again: status %d", got)
	}
	if n := b.Hits(path); n != 3 {
		t.Errorf("%d calls came, want 3", n)
	}
}
