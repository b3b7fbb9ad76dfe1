package wechat

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

func TestBreaker(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	var lines bytes.Buffer
	c := f.client(func(o *ClientOptions) {
		o.Logger = zerolog.New(&lines)
		o.Apps = append(o.Apps, Credential{App: "other", AppID: fakeAPIAppID, Secret: fakeAPISecret})
	})
	down := func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
	fakeAPIWarm(t, f, c, down)
	var e *APIError
	send := func(reason string, calls int) {
		t.Helper()
		e = fakeAPIError(t, fakeAPISend(t, c))
		if e.Reason() != reason || !e.Retryable() {
			t.Fatalf("error %v, want %s", e, reason)
		}
		f.wantCalls("custom/send", calls)
	}
	for i := range breakerLimit {
		send("http_status", i+2)
	}
	send("breaker_open", breakerLimit+1)
	if e.MaybeSent() || e.RetryAfter() < breakerPause-2*breakerJitter || e.RetryAfter() > breakerPause+breakerJitter {
		t.Errorf("open: maybe sent %v, retry after %s", e.MaybeSent(), e.RetryAfter())
	}
	send("breaker_open", breakerLimit+1)
	circuit := c.account("shop").breakers[opSend].circuit
	circuit.HalfOpen()                  // as when the pause is over
	send("http_status", breakerLimit+2) // one is let through
	send("breaker_open", breakerLimit+2)

	f.set(func(f *fakeAPI) { f.before = nil })
	if err := c.SendText(t.Context(), kefu.CustomerID{App: "other", User: fakeAPIUser}, "hi"); err != nil {
		t.Errorf("another app: %v", err)
	}
	send("breaker_open", breakerLimit+3)
	circuit.HalfOpen()
	for range 3 {
		if err := fakeAPISend(t, c); err != nil {
			t.Fatalf("when WeChat answers again: %v", err)
		}
	}
	f.set(func(f *fakeAPI) { f.before = down })
	send("http_status", breakerLimit+7) // counted anew
	for _, want := range []string{"api does not answer", "api answers again"} {
		if n := strings.Count(lines.String(), want); n != 1 {
			t.Errorf("%d lines %q, want 1", n, want)
		}
	}
}

func TestBreakerKnowsErrcodesForAnswers(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	fakeAPIWarm(t, f, c, fakeAPIAnswers(`{"errcode":-1,"errmsg":"system error"}`))
	for range 3 * breakerLimit {
		if e := fakeAPIError(t, fakeAPISend(t, c)); e.Reason() != "busy" {
			t.Fatalf("error %v", e)
		}
	}
	// Nor do bad answers count that are not in a row.
	for range 3 {
		f.set(func(f *fakeAPI) { f.before = fakeAPIAnswers("<html>") })
		for range breakerLimit - 1 {
			if e := fakeAPIError(t, fakeAPISend(t, c)); e.Reason() != "bad_answer" {
				t.Fatalf("error %v", e)
			}
		}
		f.set(func(f *fakeAPI) { f.before = nil })
		if err := fakeAPISend(t, c); err != nil {
			t.Fatal(err)
		}
	}
}

func fakeAPIAnswers(body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte(body)); return true }
}

func TestBreakerTrial(t *testing.T) {
	t.Parallel()
	b := newBreaker(zerolog.Nop())
	admit := func(want bool) {
		t.Helper()
		if _, open := b.admit(); open == want {
			t.Fatalf("admitted: %v, want %v", !open, want)
		}
	}
	b.abandoned() // says nothing while all is well
	for range breakerLimit {
		admit(true)
		b.unanswered()
	}
	admit(false)
	b.circuit.HalfOpen()
	admit(true)
	admit(false) // one at a time
	b.abandoned()
	admit(false) // who gave up has found out nothing
	b.circuit.HalfOpen()
	admit(true)
	b.answered()
	admit(true)
	admit(true)
}

// Callers who have no time do not open the breaker.
func TestBreakerAndImpatientCallers(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	fakeAPIWarm(t, f, c, func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	for range 2 * breakerLimit {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		e := fakeAPIError(t, c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi"))
		cancel()
		if e.Reason() != "timeout" {
			t.Fatalf("error %v", e)
		}
	}
	f.set(func(f *fakeAPI) { f.before = nil })
	if err := fakeAPISend(t, c); err != nil {
		t.Error(err)
	}
}

// Callers who had time enough do, although they are the ones who ended the call:
// a callback has less time than the client's timeout, and must not lose all of it
// again and again to a WeChat that hangs.
func TestBreakerAndCallersWithLittleTime(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client(func(o *ClientOptions) { o.Timeout, o.Now = 100*time.Millisecond, time.Now })
	fakeAPIWarm(t, f, c, func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	reasons := map[string]int{}
	for range 2 * breakerLimit {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
		reasons[fakeAPIError(t, c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi")).Reason()]++
		cancel()
	}
	if reasons["timeout"] != breakerLimit || reasons["breaker_open"] != breakerLimit {
		t.Errorf("calls ended by %v, want half of them not tried", reasons)
	}
}

// However long the client itself would wait.
func TestBreakerAndCallersWithLessTimeThanTheClient(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client(func(o *ClientOptions) { o.Timeout, o.Now = time.Minute, time.Now })
	fakeAPIWarm(t, f, c, func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	send := func() string {
		ctx, cancel := context.WithTimeout(t.Context(), longEnough+50*time.Millisecond)
		defer cancel()
		return fakeAPIError(t, c.SendText(ctx, kefu.CustomerID{App: "shop", User: fakeAPIUser}, "hi")).Reason()
	}
	var calls sync.WaitGroup
	for range breakerLimit {
		calls.Go(func() { send() })
	}
	calls.Wait()
	if got := send(); got != "breaker_open" {
		t.Errorf("the next call ends by %s, want it not to be tried", got)
	}
}

func TestComplaint(t *testing.T) {
	t.Parallel()
	clock := newFakeAPIClock()
	var c complaint
	for i, tc := range []struct {
		after time.Duration
		text  string
		want  bool
	}{
		{0, "", true},
		{0, "", false},
		{0, "down", true},
		{logPause - 1, "down", false},
		{1, "down", true},
		{time.Second, "refused", true},
		{0, "down", true},
	} {
		clock.Advance(tc.after)
		if got := c.due(clock.Now(), tc.text); got != tc.want {
			t.Errorf("%d: due = %v, want %v", i, got, tc.want)
		}
	}
}
