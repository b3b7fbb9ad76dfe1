package simulator

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serve answers pushes over a real connection.
func serve(t *testing.T, answers func(*http.Request, heard) answer, accounts ...AccountOptions) *httptest.Server {
	t.Helper()
	servers := make(map[string]*server)
	for _, o := range accounts {
		servers["/"+o.Name] = &server{t: t, o: o.withDefaults(), clock: time.Now, answer: answers}
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, r.URL.Query().Get("echostr"))
			return
		}
		res, err := servers[r.URL.Path].RoundTrip(r)
		if err != nil {
			return
		}
		defer func() { _ = res.Body.Close() }()
		w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(up.Close)
	return up
}

// three accounts: plain XML, plain JSON, safe JSON.
func three() []AccountOptions {
	var accounts []AccountOptions
	for i, name := range []string{"one", "two", "three"} {
		o := account()
		o.Name, o.AppID, o.OriginalID = name, "wx"+name, "gh_"+name
		if i > 0 {
			o.Format = JSON
		}
		if i == 2 {
			o.Mode = Safe
		}
		accounts = append(accounts, o)
	}
	return accounts
}

func TestLoad(t *testing.T) {
	t.Parallel()
	load := LoadOptions{
		Customers: 60, Messages: 3, Concurrency: 16, Tags: []string{"cs1", "cs2"},
		Cold: 0.1, Repush: 0.2, Twice: 0.2, OutOfOrder: 0.3, Close: true, Seed: 7,
	}
	tests := []struct {
		name    string
		answers func(*http.Request, heard) answer
		agents  int
		ok      bool
		want    []string
	}{
		{"all well", transfer(""), 2, true, []string{"customers    60", "messages     180", "  reached    180", "0 customers without a human"}},
		{"the queue", transfer(""), 0, true, []string{"  queued     180", "0 customers without a human"}},
		{"success to everything", success, 1, false, []string{"  lost       180", "60 customers without a human"}},
		{"status 500", func(*http.Request, heard) answer { return answer{status: 500} }, 1, false, []string{"  faults     180", "broken 1: ", "status 500 instead of 200"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			accounts := three()
			up := serve(t, tt.answers, accounts...)
			for i := range accounts {
				accounts[i].Targets = []string{up.URL + "/" + accounts[i].Name}
			}
			b := staffed(t, tt.agents, accounts...)
			report, err := b.Load(t.Context(), load)
			if err != nil || report.Well() != tt.ok || report.Unaccounted != 0 {
				t.Errorf("load = %+v, %v", report, err)
			}
			var out strings.Builder
			if err := report.Print(&out, b.Faults()); err != nil {
				t.Error(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}

// staffed makes a Box of accounts with agents at their desks.
func staffed(t *testing.T, agents int, accounts ...AccountOptions) *Box {
	t.Helper()
	b := New(Options{})
	t.Cleanup(b.Close)
	for _, o := range accounts {
		a, err := b.AddAccount(o)
		if err != nil {
			t.Fatal(err)
		}
		for n := range agents {
			if _, err := a.AddAgent(AgentOptions{KfAccount: fmt.Sprintf("kf%d@%s", n, o.OriginalID), Online: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

func TestLoadKeepsItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		var told atomic.Int32
		r, err := w.Load(t.Context(), LoadOptions{Customers: 10, Messages: 2, Concurrency: 4, Rate: 10, Cold: 1, Reply: func(Result) { told.Add(1) }})
		if err != nil || r.Messages != 20 || r.Events != 0 || told.Load() != 20 {
			t.Errorf("load = %+v, %v, told %d", r, err, told.Load())
		}
		if r.Took != 1900*time.Millisecond { // the first of 20 pushes leaves at once
			t.Errorf("took %s", r.Took)
		}
	})
}

func TestSameSeedSamePlay(t *testing.T) {
	t.Parallel()
	play := func() []string {
		w := newWorld(t, Options{Seed: 3}, account())
		if _, err := w.Load(t.Context(), LoadOptions{Customers: 5, Messages: 2, Tags: []string{"a", "b", "c"}, Repush: 0.5, Seed: 9}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range w.server.pushes() {
			got = append(got, h.text("FromUserName")+h.text("SessionFrom")+h.text("Content"))
		}
		return got
	}
	if one, two := strings.Join(play(), " "), strings.Join(play(), " "); one != two {
		t.Errorf("%s\n%s", one, two)
	}
}

func TestLoadIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		w.server.answer = hang
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := w.Load(ctx, LoadOptions{Customers: 4, Messages: 1, Concurrency: 2})
		if !errors.Is(err, context.DeadlineExceeded) || r.Unaccounted != 4 || r.Well() {
			t.Errorf("load = %+v, %v", r, err)
		}
	})
}

func TestLatency(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	for i := range 200 {
		took = append(took, time.Duration(200-i)*time.Millisecond)
	}
	l := newLatency(took)
	for percent, want := range map[float64]int{0: 1, 50: 100, 90: 180, 99: 198, 99.9: 200, 100: 200} {
		if got := l.At(percent); got != time.Duration(want)*time.Millisecond || l.Count() != 200 {
			t.Errorf("%g %% of %d do not exceed %s, want %d ms", percent, l.Count(), got, want)
		}
	}
	one := newLatency([]time.Duration{7})
	if one.At(50) != 7 || one.At(99) != 7 || one.At(100) != 7 || (Latency{}).At(50) != 0 {
		t.Errorf("of one: %s, of none: %s", one.At(50), Latency{}.At(50))
	}
}

func TestLatencyHistogramAndPlot(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	for range 90 {
		took = append(took, 800*time.Microsecond)
	}
	for range 9 {
		took = append(took, 3*time.Millisecond)
	}
	l := newLatency(append(took, 40*time.Millisecond))
	var b strings.Builder
	if err := l.Histogram(&b); err != nil {
		t.Fatal(err)
	}
	want := "   ≤ 1ms        90  90.00 % " + strings.Repeat("█", 40) + `
   ≤ 2ms         0   0.00 %
   ≤ 5ms         9   9.00 % ████
  ≤ 10ms         0   0.00 %
  ≤ 20ms         0   0.00 %
  ≤ 50ms         1   1.00 % ▏
`
	if b.String() != want {
		t.Errorf("histogram\n%swant\n%s", b.String(), want)
	}
	for _, l := range []Latency{l, {}, newLatency([]time.Duration{0}), newLatency([]time.Duration{time.Millisecond, time.Millisecond})} {
		b.Reset()
		if err := l.Plot(&b, "a <title> & more"); err != nil {
			t.Fatal(err)
		}
		var svg struct {
			Texts []string `xml:"text"`
		}
		if err := xml.Unmarshal([]byte(b.String()), &svg); err != nil || svg.Texts[0] != "a <title> & more" || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("of %d: %v\n%s", l.Count(), err, b.String())
		}
	}
}

// A push's latency counts from the moment that it was due, also when its turn
// comes late because the one before it took long.
func TestLoadIsAnOpenLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		w.server.answer = func(*http.Request, heard) answer {
			<-time.After(time.Second)
			return answer{body: "success"}
		}
		r, err := w.Load(t.Context(), LoadOptions{Customers: 1, Messages: 4, Concurrency: 1, Rate: 10, Cold: 1})
		if err != nil {
			t.Fatal(err)
		}
		// Due at 0, 0.1, 0.2 and 0.3 s, they leave at 0, 1, 2 and 3 s.
		if got := []time.Duration{r.Latency.At(0), r.Latency.At(50), r.Latency.At(75), r.Latency.At(100)}; !slices.Equal(got, []time.Duration{
			1000 * time.Millisecond, 1900 * time.Millisecond, 2800 * time.Millisecond, 3700 * time.Millisecond,
		}) || r.Behind != 3 {
			t.Errorf("latencies %v, %d left late", got, r.Behind)
		}
	})
}

func TestLoadRampsUp(t *testing.T) {
	t.Parallel()
	p := pacer{rate: 100, ramp: 2 * time.Second}
	for n, want := range map[int]time.Duration{0: 0, 25: time.Second, 100: 2 * time.Second, 101: 2010 * time.Millisecond, 200: 3 * time.Second} {
		if got := p.offset(n).Round(time.Millisecond); got != want {
			t.Errorf("push %d is due after %s, want %s", n, got, want)
		}
	}
}

func TestLoadGoesOnForATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		r, err := w.Load(t.Context(), LoadOptions{For: 10 * time.Second, Messages: 1, Concurrency: 4, Rate: 20, Cold: 1})
		if err != nil || r.Messages < 200 || r.Messages > 205 {
			t.Errorf("%d messages in 10 s at 20 a second, %v", r.Messages, err)
		}
	})
}

func TestMixSpreadsCustomers(t *testing.T) {
	t.Parallel()
	var accounts []*Account
	for _, name := range []string{"one", "two", "three"} {
		accounts = append(accounts, &Account{o: AccountOptions{Name: name}})
	}
	for _, tt := range []struct {
		shares map[string]float64
		want   string
	}{
		{nil, "one two three one two three"},
		{map[string]float64{"two": 2}, "two one two three two one"},
		{map[string]float64{"one": 0, "three": 0}, "two two two two two two"},
	} {
		m := newMix(accounts, tt.shares)
		var got []string
		for range 6 {
			got = append(got, m.next().o.Name)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.shares, got, tt.want)
		}
	}
}
