package wechat

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

func TestCallbackAddresses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, answer string
		want         []string // nil = an error
	}{
		{"as the page's sample", `{"ip_list":["127.0.0.1","127.0.0.2","101.226.103.0/25"]}`, []string{"127.0.0.1/32", "127.0.0.2/32", "101.226.103.0/25"}},
		{"a range not from its beginning", `{"ip_list":["101.226.103.7/25"]}`, []string{"101.226.103.0/25"}},
		{"IPv6, and IPv4 within it", `{"ip_list":["2402:4e00::/32"," ::ffff:1.2.3.4 "]}`, []string{"2402:4e00::/32", "1.2.3.4/32"}},
		{"nobody", `{"ip_list":[]}`, nil},
		{"no list", `{"errcode":0}`, nil},
		{"no address", `{"ip_list":["127.0.0.1","everywhere"]}`, nil},
		{"a zone", `{"ip_list":["fe80::1%eth0"]}`, nil},
		{"another form", `{"ip_list":"127.0.0.1"}`, nil},
		{"an error", `{"errcode":40013,"errmsg":"invalid appid"}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || r.URL.Path != "/cgi-bin/getcallbackip" {
					return false
				}
				_, _ = w.Write([]byte(tc.answer))
				return true
			}
			got, err := f.client().CallbackAddresses(t.Context(), "shop")
			if tc.want == nil {
				if e := fakeAPIError(t, err); got != nil || e.Op != "callback_addresses" {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			var texts []string
			for _, r := range got {
				texts = append(texts, r.String())
			}
			if diff := cmp.Diff(tc.want, texts); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A lender is who is asked about callers, in the test's hand.
type lender struct {
	mu    sync.Mutex
	lists map[kefu.AppID][]netip.Prefix // an app that is missing does not answer
	asked int
}

func (g *lender) CallbackAddresses(_ context.Context, app kefu.AppID) ([]netip.Prefix, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	if list, ok := g.lists[app]; ok {
		return list, nil
	}
	return nil, errors.New("no answer")
}

func (g *lender) set(lists map[kefu.AppID][]netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lists = lists
}

func (g *lender) times() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

func ranges(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// wantCallers fails unless these, and only these of all addresses of the test,
// are let in.
func wantCallers(t *testing.T, c *Callers, when string, want ...string) {
	t.Helper()
	var got []string
	for _, a := range []string{"1.1.1.1", "2.2.2.2", "::ffff:2.2.2.2", "3.3.3.3"} {
		if c.Allows(netip.MustParseAddr(a)) {
			got = append(got, a)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// gauge is the only metric of a registry.
func gauge(t *testing.T, reg prometheus.Gatherer) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("got %v, %v, want one gauge", families, err)
	}
	return families[0].GetMetric()[0].GetGauge().GetValue()
}

// Whoever can be asked is asked once a day, and soon again if he does not answer;
// what is not known keeps nobody out.
func TestCallersFailOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		everybody := []string{"1.1.1.1", "2.2.2.2", "::ffff:2.2.2.2", "3.3.3.3"}
		g, log, reg := &lender{}, new(bytes.Buffer), prometheus.NewRegistry()
		apps := []kefu.AppID{"a", "b"}
		c := NewCallers(CallersOptions{
			Source: g, Apps: func() []kefu.AppID { return apps },
			Logger: zerolog.New(log), Registerer: reg,
		})
		wantCallers(t, c, "before anybody was asked", everybody...)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		later := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}

		later(time.Second)
		wantCallers(t, c, "nobody answers", everybody...)
		later(time.Hour)
		if n := g.times(); n < 8 || n > 16 {
			t.Errorf("asked %d times in an hour without an answer, want 4 to 8 times for two apps", n)
		}
		if n := strings.Count(log.String(), "let in from everywhere"); n < 1 || n > 2 {
			t.Errorf("an hour without an answer is logged %d times, want once or twice:\n%s", n, log)
		}

		g.set(map[kefu.AppID][]netip.Prefix{"a": ranges("2.2.2.0/24"), "b": ranges("3.3.3.3/32", "2.2.2.0/24")})
		later(6 * time.Hour)
		wantCallers(t, c, "both have answered", "2.2.2.2", "::ffff:2.2.2.2", "3.3.3.3")
		if n := gauge(t, reg); n != 2 {
			t.Errorf("%v ranges counted, want 2", n)
		}
		before := g.times()
		later(10 * 24 * time.Hour)
		if n := g.times() - before; n < 16 || n > 24 {
			t.Errorf("asked %d times in ten days, want once a day for two apps", n)
		}

		g.set(map[kefu.AppID][]netip.Prefix{"a": ranges("1.1.1.1/32")})
		later(27 * time.Hour)
		wantCallers(t, c, "one has others now, one does not answer", "1.1.1.1", "2.2.2.2", "::ffff:2.2.2.2", "3.3.3.3")
		if !strings.Contains(log.String(), "not renewed") {
			t.Errorf("that one does not answer is not logged:\n%s", log)
		}

		g.set(nil)
		later(2 * 24 * time.Hour)
		if c.Allows(netip.MustParseAddr("4.4.4.4")) {
			t.Error("a list of two days ago is forgotten")
		}
		later(4 * 24 * time.Hour)
		wantCallers(t, c, "nobody has answered for days", everybody...)
		if n := gauge(t, reg); n != 0 {
			t.Errorf("%v ranges counted, want 0", n)
		}

		g.set(map[kefu.AppID][]netip.Prefix{"a": ranges("1.1.1.1/32")})
		later(8 * time.Hour)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := strings.Count(log.String(), "from WeChat's addresses alone"); n != 1 {
			t.Errorf("the list is in force %d times by the log, want once:\n%s", n, log)
		}
	})
}

// An app that leaves the configuration takes its addresses along, and nobody to
// ask is no reason to refuse anybody.
func TestCallersFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	g := &lender{lists: map[kefu.AppID][]netip.Prefix{"a": ranges("1.1.1.1/32"), "b": ranges("2.2.2.2/32")}}
	apps := []kefu.AppID{"a", "b"}
	c := NewCallers(CallersOptions{
		Source: g, Apps: func() []kefu.AppID { return apps }, Logger: zerolog.Nop(), Registerer: prometheus.NewRegistry(),
	})
	if err := c.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCallers(t, c, "two apps", "1.1.1.1", "2.2.2.2", "::ffff:2.2.2.2")
	apps = apps[1:]
	if err := c.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCallers(t, c, "one app", "2.2.2.2", "::ffff:2.2.2.2")
	apps = nil
	if err := c.fetch(t.Context()); err == nil {
		t.Error("nobody to ask, and no error")
	}
	wantCallers(t, c, "no app", "1.1.1.1", "2.2.2.2", "::ffff:2.2.2.2", "3.3.3.3")
}
