package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
)

// explain tells of every candidate why he was taken or refused: from Redis, or
// from a server with the embedded store.
func TestExplainTellsWhyEachCandidateWasTakenOrRefused(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		text := strings.Replace(smallConfig, "[{agent: wang}, {agent: li}]", "[{agent: wang}, {group: presale}, {agent: zhao}]", 1)
		text = strings.Replace(text, "{id: li,", "{id: li, capacity: 1,", 1)
		r := start(t, rigOptions{config: text, redis: redis})
		other, c := r.somebody("shop"), r.somebody("shop")
		r.tap(other, "cs2") // takes Li's only seat
		r.goes("shop", "wang")
		r.tap(c, "cs1")
		r.reaches(c, "zhao")

		args := []string{"explain", "--app", "shop", "--openid", c.OpenID()}
		if redis == nil {
			args = append(args, "--config", r.onDisk(text, "", nil), "--server", r.url)
		} else {
			args = append(args, "--config", r.onDisk(text, redis.Addr, nil))
		}
		got := kefud(t.Context(), args...)
		if got.code != exitDone || got.stderr != "" {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		for _, line := range [][]string{
			{"customer shop/oE2E…", "entry cs1", "owner zhao", "serving zhao"},
			{"enter at cs1 -> zhao", "step: "},
			{"wang", "step 1", "0 of 5", "offline"},
			{"li", "step 2, presale", "1 of 1", "full"},
			{"zhao", "step 3", "1 of 5", "taken"},
		} {
			if !hasLine(got.stdout, line) {
				t.Errorf("no line with %q in:\n%s", line, got.stdout)
			}
		}

		args[4] = "oNobodyKnowsThisOne000000000"
		if got := kefud(t.Context(), args...); got.code != exitFailed || !strings.Contains(got.stderr, "nothing is known") {
			t.Errorf("of a stranger: exit code %d, %s", got.code, got.stderr)
		}
		r.well()
	})
}

// hasLine reports whether a line has all of the parts, in their order.
func hasLine(text string, parts []string) bool {
	for line := range strings.Lines(text) {
		found := true
		for _, part := range parts {
			var ok bool
			_, line, ok = strings.Cut(line, part)
			found = found && ok
		}
		if found {
			return true
		}
	}
	return false
}

func TestHealthcheckFindsALivingServer(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: smallConfig})
	if got := kefud(t.Context(), "healthcheck", "--url", r.url+"/healthz"); got.code != exitDone {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	if got := kefud(t.Context(), "healthcheck", "--url", r.url+"/no-such-page"); got.code != exitFailed {
		t.Errorf("of another page: exit code %d: %s", got.code, got.stderr)
	}
}
