package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// answeredInTime checks one answer of a bad time.
func (r *rig) answeredInTime(result simulator.Result) {
	r.t.Helper()
	if len(result.Attempts) != 1 {
		r.t.Errorf("pushed %d times", len(result.Attempts))
	}
	got, took := answer(r.t, result), result.Attempts[0].Took
	if took > budget+slackTime {
		r.t.Errorf("answered after %s", took)
	}
	want := simulator.AnswerTransfer
	if result.Reach.Type == "event" {
		want = simulator.AnswerSuccess
	}
	if got.Kind != want {
		r.t.Errorf("a %s was answered with %s, want %s", result.Reach.Type, got, want)
	}
}

// readyButDegraded wants the server to go on taking traffic, and to say what is
// broken.
func (r *rig) readyButDegraded(why string) {
	r.t.Helper()
	eventually(r.t, "the store is seen to be degraded", func() bool {
		code, page := get(r.t, r.url+"/readyz", nil)
		if code != http.StatusOK {
			r.t.Fatalf("/readyz answers %d: %s", code, page)
		}
		return strings.Contains(page, `"status":"degraded"`) && strings.Contains(page, `"store":{"state":"degraded"`) && strings.Contains(page, why)
	})
}

// recovers wants customers to be brought to agents again soon.
func (r *rig) recovers() {
	r.t.Helper()
	healed := time.Now()
	eventually(r.t, "agents are named again", func() bool {
		c := r.somebody("shop")
		r.tap(c, "cs1")
		defer r.leave(c)
		return answer(r.t, r.say(c, "hello")).KfAccount != ""
	})
	const soon = 2 * time.Second
	if took := time.Since(healed); took > soon+2*slackTime {
		r.t.Errorf("agents are named again after %s, want about %s", took, soon)
	}
}

func TestWithoutRedisAtTheStartCustomersAreServedAndReadinessWaits(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Kill()
	r := newRig(t, rigOptions{config: smallConfig, redis: redis})
	code, page := get(t, r.url+"/readyz", nil)
	if code != http.StatusServiceUnavailable || !strings.Contains(page, `"status":"starting"`) {
		t.Errorf("/readyz answers %d: %s", code, page)
	}
	if code, _ := get(t, r.url+"/healthz", nil); code != http.StatusOK {
		t.Errorf("/healthz answers %d", code)
	}
	c := r.somebody("shop")
	r.tap(c, "cs1")
	r.reaches(c, "")
	r.decided(c, "", kefu.ReasonDegraded)

	redis.Restart()
	eventually(t, "the server is ready", func() bool {
		code, _ := get(t, r.url+"/readyz", nil)
		return code == http.StatusOK
	})
	r.knows("shop", "wang", kefu.PresenceOnline)
	r.tap(c, "cs1")
	r.reaches(c, "wang")
	r.well()
}

// Whoever asks for the first time only after Redis has gone is told that the
// server is ready all the same: it had reached Redis before.
func TestRedisGoneBeforeTheFirstProbeDoesNotTakeTheServerOut(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	r := start(t, rigOptions{config: smallConfig, redis: redis})
	redis.Kill()
	eventually(t, "Redis is seen to be gone", func() bool { return !r.server.store.Health().OK })
	r.readyButDegraded("not reached")
}
