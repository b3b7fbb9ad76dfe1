package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

var (
	customer = kefu.CustomerID{App: "shop", User: "oCustomer0123456789abc"}
	agentsID = kefu.CustomerID{App: "slow", User: "oAgent0123456789abcdef"}
)

// answer is what an agent says to a customer.
func answer(text string) kefu.Delivery {
	return kefu.Delivery{ID: "1", To: customer, Agent: "wang", Ref: "a:h1", Words: kefu.Words{Text: text}}
}

// chatLine is a customer's line for an agent.
func chatLine(id, text string) kefu.Line {
	return kefu.Line{ID: id, Of: customer, Label: 3, Entry: "cs1", Ref: "c:" + id, Words: kefu.Words{Text: text}}
}

func lines(all ...kefu.Line) kefu.Delivery {
	return kefu.Delivery{ID: all[0].ID, To: agentsID, Lines: all}
}

func pictured(l kefu.Line) kefu.Line {
	l.Words.Media = kefu.Media{App: "shop", ID: "p"}
	return l
}

func TestSaysWhatPeopleSaid(t *testing.T) {
	t.Parallel()
	with := func(l kefu.Line, change func(*kefu.Line)) kefu.Line { change(&l); return l }
	line := chatLine("1", "hello\nthere")
	of := func(app kefu.AppID, entry kefu.EntryTag) kefu.Line {
		return with(line, func(l *kefu.Line) { l.Of.App, l.Entry = app, entry })
	}
	tests := map[string]struct {
		d    kefu.Delivery
		want string
	}{
		"an answer":                  {answer(" {{.Agent}}\n"), " {{.Agent}}\n"},
		"an answer that is no text":  {kefu.Delivery{To: customer, Words: kefu.Words{Text: "https://x", Media: kefu.Media{App: "board", ID: "p"}}}, "[image p of board]"},
		"a line":                     {lines(line), "#3 presale · hello\nthere"},
		"lines":                      {lines(line, chatLine("2", "x")), "#3 presale · hello\nthere\n#3 presale · x"},
		"a line of an entry no more": {lines(of("shop", "cs9")), "#3 cs9 · hello\nthere"},
		"a line of an app no more":   {lines(of("gone", "cs1")), "#3 cs1 · hello\nthere"},
		"a picture":                  {lines(pictured(line)), "[image p of shop]"},
		"a hint":                     {lines(with(line, func(l *kefu.Line) { l.Hint = true })), "#3 presale · hello\nthere\n（答复请发送：#3 内容）"},
		"a doubt":                    {lines(with(line, func(l *kefu.Line) { l.Doubt = true })), "#3 presale · （可能重复）hello\nthere"},
		"a part":                     {lines(with(line, func(l *kefu.Line) { l.Part = true })), "hello\nthere"},
		"a note":                     {lines(kefu.Line{ID: "1", Note: true, Words: kefu.Words{Text: "note"}}), "note"},
		"a note in doubt":            {lines(kefu.Line{ID: "1", Note: true, Doubt: true, Words: kefu.Words{Text: "note"}}), "（可能重复）note"},
		"word that more waits":       {kefu.Delivery{To: agentsID, More: true}, "还有新消息，回复任意内容查看"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &fakeSender{}
			v, err := testOutbox(t, s).decide(t.Context(), kefu.Lane{Allowed: true, Lease: noon.Add(9 * time.Second), Delivery: tt.d}, true)
			if v.Outcome != kefu.OutcomeSent || err != nil {
				t.Fatalf("decide() = %+v, %v, want sent", v, err)
			}
			if diff := cmp.Diff([]string{tt.want}, s.sent()); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}

// What people said is never dropped: it is sent, or kept, or buried.
func TestDecideOnWhatPeopleSaid(t *testing.T) {
	t.Parallel()
	gone := func(reason string) error { return faultError{gone: true, reason: reason} }
	wait := func(reason string) kefu.Verdict {
		return kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerEmpty, Due: noon, Reason: reason}
	}
	orphan := answer("x")
	orphan.To.App = "gone"
	tests := map[string]struct {
		d       kefu.Delivery
		allowed bool
		over    bool
		err     error
		want    kefu.Verdict
	}{
		"no allowance":                  {answer("x"), false, false, nil, kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerSpent, Due: noon.Add(waitAnswer), Reason: "no_allowance"}},
		"no allowance ever":             {answer("x"), false, true, nil, kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerSpent, Reason: "out_of_window"}},
		"its app is gone":               {orphan, true, false, nil, kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerRefund, Reason: "no_app"}},
		"an answer beyond the count":    {answer("x"), true, false, gone("out_of_count"), wait("out_of_count")},
		"an answer beyond the window":   {answer("x"), true, false, gone("out_of_window"), kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerEmpty, Reason: "out_of_window"}},
		"lines beyond the count":        {lines(chatLine("1", "x")), true, false, gone("out_of_count"), wait("out_of_count")},
		"lines beyond the window":       {lines(chatLine("1", "x")), true, false, gone("out_of_window"), wait("out_of_window")},
		"lines to whom does not follow": {lines(chatLine("1", "x")), true, false, gone("not_following"), wait("not_following")},
		"more, beyond the window":       {kefu.Delivery{To: agentsID, More: true}, true, false, gone("out_of_window"), wait("out_of_window")},
		"lines refused for good":        {lines(chatLine("1", "x")), true, false, faultError{reason: "bad_openid"}, kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerRefund, Reason: "bad_openid"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOutbox(t, &fakeSender{answer: func(context.Context, kefu.CustomerID) error { return tt.err }})
			v, _ := o.decide(t.Context(), kefu.Lane{Allowed: tt.allowed, Over: tt.over, Lease: noon.Add(9 * time.Second), Delivery: tt.d}, true)
			if diff := cmp.Diff(tt.want, v); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// A repetition is marked if the first may have arrived, and only then.
func TestDoubt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"certainly not": {faultError{retry: true, reason: "busy"}, false},
		"perhaps":       {faultError{retry: true, maybe: true, reason: "timeout"}, true},
		"who knows":     {errors.New("odd"), true},
		"given up":      {faultError{maybe: true, reason: "bad_openid"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v := testOutbox(t, &fakeSender{}).judge(lines(chatLine("1", "x")), tt.err); v.Doubt != tt.want {
				t.Errorf("%+v, want doubt %t", v, tt.want)
			}
		})
	}
}

// fakeWitness keeps what it is told, and whether the queue was told before.
type fakeWitness struct {
	queue *fakeQueue
	do    func(ctx context.Context)

	mu   sync.Mutex
	told []string
}

func (w *fakeWitness) Ended(ctx context.Context, d kefu.Delivery, v kefu.Verdict) {
	known := len(w.queue.verdicts())
	w.mu.Lock()
	w.told = append(w.told, fmt.Sprintf("%s %s %s, %d before", d.ID, v.Outcome, v.Reason, known))
	w.mu.Unlock()
	if w.do != nil {
		w.do(ctx)
	}
}

func (w *fakeWitness) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.told, "|")
}

func TestWitness(t *testing.T) {
	t.Parallel()
	more := kefu.Delivery{ID: "m", To: agentsID, More: true}
	tests := map[string]struct {
		d    kefu.Delivery
		err  error
		poor bool
		want string
	}{
		"an answer sent":                  {answer("x"), nil, false, "1 sent , 0 before"},
		"lines sent":                      {lines(chatLine("1", "x")), nil, false, "1 sent , 0 before"},
		"word that more waits":            {more, nil, false, "m sent , 0 before"},
		"an answer that never will be":    {answer("x"), faultError{reason: "bad_openid"}, false, "1 buried bad_openid, 0 before"},
		"lines that never will be":        {lines(chatLine("1", "x")), faultError{reason: "bad_openid"}, false, "1 buried bad_openid, 0 before"},
		"WeChat takes no more":            {lines(chatLine("1", "x")), faultError{gone: true, reason: "not_following"}, false, "1 wait not_following, 0 before"},
		"WeChat takes no more of that":    {more, faultError{gone: true, reason: "out_of_window"}, false, "m wait out_of_window, 0 before"},
		"to be tried again: not yet":      {answer("x"), faultError{retry: true, reason: "busy"}, false, ""},
		"not tried: not yet":              {answer("x"), nil, true, ""},
		"a notice is nobody's":            {greeting("shop", "a", "n"), nil, false, ""},
		"a notice that never will be":     {greeting("shop", "a", "n"), faultError{reason: "bad_openid"}, false, ""},
		"a notice there is no room for":   {greeting("shop", "a", "n"), faultError{gone: true, reason: "out_of_count"}, false, ""},
		"a panic is what never will be":   {answer("x"), errors.New("panic"), false, "1 buried panic, 0 before"},
		"what nobody can say is answered": {answer("x"), faultError{gone: true, reason: "out_of_window"}, false, "1 buried out_of_window, 0 before"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t, 1)
				w := &fakeWitness{queue: q}
				s := &fakeSender{answer: func(context.Context, kefu.CustomerID) error {
					if strings.HasPrefix(name, "a panic") {
						panic(tt.err)
					}
					return tt.err
				}}
				tt.d.At, tt.d.Expires = time.Now(), time.Time{}
				q.owe(0, tt.d)
				q.lanes[tt.d.To].poor = tt.poor
				_, stop := run(t, Options{Queue: q, Sender: s, Witness: w, Backoff: Backoff{Base: time.Hour, Cap: time.Hour}})
				stop()
				if got := w.all(); got != tt.want {
					t.Errorf("told %q, want %q", got, tt.want)
				}
				if len(q.verdicts()) != 1 {
					t.Errorf("queue told %q", q.verdicts())
				}
			})
		})
	}
}

// A witness that breaks, or does not come to an end, does not keep the lane.
func TestWitnessBreaks(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ctx context.Context){
		"panics": func(context.Context) { panic("my words") },
		"hangs":  func(ctx context.Context) { <-ctx.Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, log := newFakeQueue(t, 1), &bytes.Buffer{}
				w := &fakeWitness{queue: q, do: do}
				q.owe(0, answer("my words"))
				_, stop := run(t, Options{Queue: q, Sender: &fakeSender{}, Witness: w, Logger: zerolog.New(log)})
				after(3 * time.Second)
				stop()
				if diff := cmp.Diff([]string{"1 sent "}, q.verdicts()); diff != "" {
					t.Errorf("finished (-want +got):\n%s", diff)
				}
				if text := log.String(); strings.Contains(text, "my words") || strings.Contains(text, customer.User) || strings.Contains(text, "panic") != (name == "panics") {
					t.Errorf("log: %s", text)
				}
			})
		})
	}
}

// leased is a lane that somebody else has leased.
func leased(q *fakeQueue, d kefu.Delivery) kefu.Lane {
	lane := kefu.Lane{Delivery: d, Lease: time.Now().Add(5 * time.Second), Allowed: true}
	q.lanes[d.To] = &fakeLane{owed: []kefu.Delivery{d}, lease: lane.Lease}
	return lane
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	orphan := lines(chatLine("1", "x"))
	orphan.To.App = "gone"
	for name, tt := range map[string]struct {
		d    kefu.Delivery
		err  error
		want string
		told string
	}{
		"sent":              {lines(chatLine("1", "x")), nil, "1 sent ", "1 sent , 0 before"},
		"to be tried again": {lines(chatLine("1", "x")), faultError{retry: true, reason: "busy"}, "1 retry busy", ""},
		"refused":           {lines(chatLine("1", "x")), faultError{reason: "bad_openid"}, "1 buried bad_openid", "1 buried bad_openid, 0 before"},
		"cannot be made":    {orphan, nil, "1 buried no_app", "1 buried no_app, 0 before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newFakeQueue(t, 1)
				w := &fakeWitness{queue: q}
				reg := prometheus.NewRegistry()
				o := New(Options{
					Queue: q, Table: testTable(t), Witness: w, Registerer: reg,
					Sender: &fakeSender{answer: func(context.Context, kefu.CustomerID) error { return tt.err }},
				})
				start := time.Now()
				v := o.Deliver(t.Context(), leased(q, tt.d))
				if diff := cmp.Diff([]string{tt.want}, q.verdicts()); diff != "" {
					t.Errorf("finished (-want +got):\n%s", diff)
				}
				if got := fmt.Sprintf("1 %s %s", v.Outcome, v.Reason); got != tt.want || w.all() != tt.told || time.Since(start) != 0 {
					t.Errorf("Deliver() = %q after %v, witness told %q; want %q, %q", got, time.Since(start), w.all(), tt.want, tt.told)
				}
				o.lanes.Wait()
			})
		})
	}
}

// Deliver does not wait for a witness or a queue that is slow, but both are told.
func TestDeliverIsInTime(t *testing.T) {
	t.Parallel()
	t.Run("slow witness", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueue(t, 1)
			w := &fakeWitness{queue: q, do: func(context.Context) { elapse(time.Second) }}
			o := New(Options{Queue: q, Table: testTable(t), Witness: w, Sender: &fakeSender{}})
			start := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			v := o.Deliver(ctx, leased(q, lines(chatLine("1", "x"))))
			cancel() // the push is answered
			if took := time.Since(start); v.Outcome != kefu.OutcomeSent || took != tellAtOnce || len(q.verdicts()) != 0 {
				t.Errorf("%+v after %v, queue told %q", v, took, q.verdicts())
			}
			o.lanes.Wait()
			if diff := cmp.Diff([]string{"1 sent "}, q.verdicts()); diff != "" {
				t.Errorf("finished (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("the queue is down for a while", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueue(t, 1)
			o := New(Options{Queue: q, Table: testTable(t), Sender: &fakeSender{}})
			lane := leased(q, lines(chatLine("1", "x")))
			q.down = errDown
			start := time.Now()
			if v := o.Deliver(t.Context(), lane); v.Outcome != kefu.OutcomeSent || time.Since(start) != tellAtOnce || o.State().OK {
				t.Errorf("%+v after %v, state %+v", v, time.Since(start), o.State())
			}
			q.set(func() { q.down = nil })
			o.lanes.Wait()
			if diff := cmp.Diff([]string{"1 sent "}, q.verdicts()); diff != "" || !o.State().OK {
				t.Errorf("state %+v, finished (-want +got):\n%s", o.State(), diff)
			}
		})
	})
	t.Run("the queue is down for long", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueue(t, 1)
			o := New(Options{Queue: q, Table: testTable(t), Sender: &fakeSender{}})
			lane := leased(q, lines(chatLine("1", "x")))
			q.down = errDown
			start := time.Now()
			o.Deliver(t.Context(), lane)
			o.lanes.Wait()
			if took := time.Since(start); took < 5*time.Second || took > 7*time.Second {
				t.Errorf("tried for %v, want about as long as the lease", took)
			}
		})
	})
}

// Whoever waits for a line to be sent has the time to take it back.
func TestLinesAreLeftAloneWhileTheyAreTakenBack(t *testing.T) {
	t.Parallel()
	busy, base := faultError{retry: true, reason: "busy"}, Backoff{}.orDefault().Base
	for name, tt := range map[string]struct {
		d           kefu.Delivery
		err         faultError
		least, most time.Duration
	}{
		"lines":                     {kefu.Delivery{Lines: []kefu.Line{chatLine("1", "x")}}, busy, takenBack, takenBack + base},
		"lines, when WeChat says":   {kefu.Delivery{Lines: []kefu.Line{chatLine("1", "x")}}, faultError{retry: true, after: time.Second}, time.Second, time.Second + base},
		"what nobody can take back": {kefu.Delivery{}, busy, 0, base},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOutbox(t, &fakeSender{})
			for range 100 {
				if v := o.judge(tt.d, tt.err); v.Outcome != kefu.OutcomeRetry || v.Due.Before(noon.Add(tt.least)) || v.Due.After(noon.Add(tt.most)) {
					t.Fatalf("%v, due %s after, want between %s and %s", v.Outcome, v.Due.Sub(noon), tt.least, tt.most)
				}
			}
		})
	}
}
