package wechat

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

// While WeChat refuses the app as a whole, a call a minute is made at most, however
// many want to; the other operations and apps go on.
func TestGate(t *testing.T) {
	t.Parallel()
	for code, why := range map[int]string{45009: "quota", 45011: "quota", 40164: "ip_not_allowed", 89503: "ip_not_allowed"} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			var lines bytes.Buffer
			reg := prometheus.NewRegistry()
			c := f.client(func(o *ClientOptions) {
				o.Logger, o.Registerer = zerolog.New(&lines), reg
				o.Apps = append(o.Apps, Credential{App: "other", AppID: fakeAPIAppID, Secret: fakeAPISecret})
			})
			refuse := fakeAPIAnswers(fmt.Sprintf(`{"errcode":%d,"errmsg":"no"}`, code))
			fakeAPIWarm(t, f, c, func(w http.ResponseWriter, r *http.Request) bool {
				return strings.Contains(r.URL.Path, "custom/send") && refuse(w, r)
			})
			const calls = "custom/send"
			warm := len(f.seen(calls))
			for range 3 * 60 {
				for range 10 {
					e := fakeAPIError(t, fakeAPISend(t, c))
					if e.Reason() != why || e.Code != code || !e.Retryable() || e.MaybeSent() || e.RetryAfter() > gateMost {
						t.Fatalf("error %v, retryable %v, maybe sent %v, after %s", e, e.Retryable(), e.MaybeSent(), e.RetryAfter())
					}
				}
				f.clock.Advance(time.Second)
			}
			if n := len(f.seen(calls)) - warm; n < 5 || n > 9 {
				t.Errorf("%d calls in three minutes", n)
			}
			if _, err := c.OnlineList(t.Context(), "shop"); err != nil {
				t.Errorf("another operation: %v", err)
			}
			got := c.Stopped("shop")
			if len(got) != 1 || got[0].Op != "send" || got[0].Why != why || got[0].Err == nil || got[0].Since.IsZero() || len(c.Stopped("other")) != 0 {
				t.Errorf("stopped: %+v", got)
			}
			if v := stoppedGauge(t, reg); v != 1 {
				t.Errorf("the gauge is %v", v)
			}
			if n := strings.Count(lines.String(), `"level":"error"`); n != 1 {
				t.Errorf("%d lines call a human, want 1:\n%s", n, lines.String())
			}

			f.set(func(f *fakeAPI) { f.before = nil })
			if err := c.SendText(t.Context(), kefu.CustomerID{App: "other", User: fakeAPIUser}, "hi"); err != nil {
				t.Errorf("another app: %v", err)
			}
			f.clock.Advance(gateMost)
			for range 3 {
				if err := fakeAPISend(t, c); err != nil {
					t.Fatalf("when WeChat takes calls again: %v", err)
				}
			}
			if v := stoppedGauge(t, reg); v != 0 || len(c.Stopped("shop")) != 0 {
				t.Errorf("the gauge is %v, stopped %+v", v, c.Stopped("shop"))
			}
		})
	}
}

// stoppedGauge sums kefud_wechat_stopped.
func stoppedGauge(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "kefud_wechat_stopped" {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// Nobody is told of stops of an app that is gone, or of the credential it had
// before, not even by calls that were on their way then.
func TestStopsEndWithTheCredential(t *testing.T) {
	t.Parallel()
	for name, apps := range map[string][]Credential{
		"gone":                 nil,
		"another app_id":       {{App: "shop", AppID: "wx-other", Secret: fakeAPISecret}},
		"another in its place": {{App: "other", AppID: fakeAPIAppID, Secret: fakeAPISecret}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			reg := prometheus.NewRegistry()
			c := f.client(func(o *ClientOptions) { o.Registerer = reg })
			fakeAPIWarm(t, f, c, fakeAPIAnswers(`{"errcode":45009,"errmsg":"quota"}`))
			fakeAPIError(t, fakeAPISend(t, c))
			old := c.account("shop")
			late, e := old.gates[opOnlineList].admit()
			if e != nil || stoppedGauge(t, reg) != 1 {
				t.Fatalf("the gauge is %v, %v", stoppedGauge(t, reg), e)
			}
			c.SetApps(apps)
			if v := stoppedGauge(t, reg); v != 0 {
				t.Errorf("the gauge is %v", v)
			}
			old.gates[opOnlineList].settle(late, &APIError{Op: opOnlineList, App: "shop", Code: 45009, Status: 200})
			if v := stoppedGauge(t, reg); v != 0 || len(c.Stopped("shop")) != 0 {
				t.Errorf("after a call that was on its way the gauge is %v, stopped: %+v", v, c.Stopped("shop"))
			}
		})
	}
}

// Who has got the token of another replica waits for no fetch of his own any more,
// and does not make one for hours.
func TestStopOfTokensEndsWithASharedOne(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"ip_not_allowed": fakeAPIAnswers(`{"errcode":40164,"errmsg":"not in whitelist"}`),
		"unanswered":     func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			cache, reg := newFakeAPICache(), prometheus.NewRegistry()
			share := func(o *ClientOptions) { o.Tokens = cache }
			a, b := f.client(share), f.client(share, func(o *ClientOptions) { o.Registerer = reg })
			f.set(func(f *fakeAPI) { f.before = answer })
			for range breakerLimit {
				fakeAPIError(t, fakeAPISend(t, b))
				f.clock.Advance(maxPause)
			}
			if got := b.Stopped("shop"); len(got) != 1 || got[0].Op != "token" || got[0].Why != name {
				t.Fatalf("stopped: %+v", got)
			}
			f.set(func(f *fakeAPI) { f.before = nil })
			for _, c := range []*Client{a, b} {
				if err := fakeAPISend(t, c); err != nil {
					t.Fatal(err)
				}
			}
			if v := stoppedGauge(t, reg); v != 0 || len(b.Stopped("shop")) != 0 {
				t.Errorf("the gauge is %v, stopped: %+v", v, b.Stopped("shop"))
			}
		})
	}
}

// What WeChat refuses to one customer does not stop the others; and it shows that
// the app is not refused any more.
func TestGateKnowsWhomAnErrcodeConcerns(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	fakeAPIWarm(t, f, c, fakeAPIAnswers(`{"errcode":40003,"errmsg":"invalid openid"}`))
	for range 20 {
		if e := fakeAPIError(t, fakeAPISend(t, c)); e.Reason() != "bad_openid" || e.untried {
			t.Fatalf("error %v", e)
		}
	}
	f.set(func(f *fakeAPI) { f.before = fakeAPIAnswers(`{"errcode":45009,"errmsg":"quota"}`) })
	fakeAPIError(t, fakeAPISend(t, c))
	for _, answer := range []string{`{"errcode":-1,"errmsg":"busy"}`, `<html>`} { // which says nothing
		f.set(func(f *fakeAPI) { f.before = fakeAPIAnswers(answer) })
		f.clock.Advance(gateFirst)
		if e := fakeAPIError(t, fakeAPISend(t, c)); e.untried {
			t.Errorf("none is let through: %v", e)
		}
		if e := fakeAPIError(t, fakeAPISend(t, c)); !e.untried || len(c.Stopped("shop")) != 1 {
			t.Errorf("let through after %s: %v", answer, e)
		}
	}
	f.set(func(f *fakeAPI) {
		f.before = fakeAPIAnswers(`{"errcode":45047,"errmsg":"out of response count limit"}`)
	})
	f.clock.Advance(gateFirst)
	for range 3 {
		if e := fakeAPIError(t, fakeAPISend(t, c)); e.Reason() != "out_of_count" {
			t.Errorf("error %v", e)
		}
	}
	if got := c.Stopped("shop"); len(got) != 0 {
		t.Errorf("stopped: %+v", got)
	}
}

// Calls that were on their way when the first was refused shut the gate once, and
// one of them that worked does not open it again.
func TestGateCountsWhatWasOnItsWayOnce(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	if err := fakeAPISend(t, c); err != nil {
		t.Fatal(err)
	}
	g := c.account("shop").gates[opSend]
	refusal := func() *APIError { return &APIError{Op: opSend, App: "shop", Code: 45009, Status: 200} }
	var turns []uint64
	for range 10 {
		turn, e := g.admit()
		if e != nil {
			t.Fatal(e)
		}
		turns = append(turns, turn)
	}
	var all sync.WaitGroup
	for _, turn := range turns[1:] {
		all.Go(func() { g.settle(turn, refusal()) })
	}
	all.Wait()
	g.settle(turns[0], nil)
	if _, e := g.admit(); e == nil || e.RetryAfter() > gateFirst || g.refusals != 1 {
		t.Errorf("after ten calls: %v, %d refusals", e, g.refusals)
	}
}

func TestStoppedByABreaker(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.client()
	fakeAPIWarm(t, f, c, func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true })
	for i := range breakerLimit + 1 {
		fakeAPIError(t, fakeAPISend(t, c))
		if got := c.Stopped("shop"); (len(got) == 1) != (i >= breakerLimit-1) {
			t.Errorf("after %d failures: %+v", i+1, got)
		}
	}
	if got := c.Stopped("shop")[0]; got.Op != "send" || got.Why != "unanswered" || !strings.Contains(got.Err.Error(), "502") {
		t.Errorf("stopped: %+v", got)
	}
	f.set(func(f *fakeAPI) { f.before = nil })
	c.account("shop").breakers[opSend].circuit.HalfOpen() // as when the pause is over
	if err := fakeAPISend(t, c); err != nil || len(c.Stopped("shop")) != 0 {
		t.Errorf("%v, stopped %+v", err, c.Stopped("shop"))
	}
	if got := c.Stopped("nobody"); len(got) != 0 {
		t.Errorf("stopped: %+v", got)
	}
}
