package simulator

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// hang never answers.
func hang(r *http.Request, _ heard) answer {
	<-r.Context().Done()
	return answer{}
}

// first answers the first n pushes in one way and later ones in another.
func first(n int32, early, later func(*http.Request, heard) answer) func(*http.Request, heard) answer {
	var count atomic.Int32
	return func(r *http.Request, h heard) answer {
		if count.Add(1) <= n {
			return early(r, h)
		}
		return later(r, h)
	}
}

func TestNoAnswerIsPushedAgain(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Plain, Safe} {
		synctest.Test(t, func(t *testing.T) {
			o := account()
			o.Mode = mode
			w := newWorld(t, Options{Now: time.Now}, o)
			w.server.answer = first(2, hang, transfer(""))
			start := time.Now()
			r := say(t, w.Customer(w.account, "oCustomer"), "在吗")
			if took := time.Since(start); took != 10*time.Second {
				t.Errorf("took %s, want twice 5 s", took)
			}
			if r.Reach.Fate != FateQueued || len(r.Attempts) != 3 || r.Attempts[0].Heard || r.Attempts[0].Wrong != "no answer within 5s" || !r.Attempts[2].Heard {
				t.Errorf("result = %+v", r)
			}
			got := w.server.pushes()
			for _, again := range got[1:] {
				for _, name := range []string{"MsgId", "CreateTime", "Content", "FromUserName"} {
					if again.text(name) != got[0].text(name) || again.text(name) == "" {
						t.Errorf("%s of the re-push is %q, was %q", name, again.text(name), got[0].text(name))
					}
				}
				if again.query.Get("nonce") == got[0].query.Get("nonce") || again.query.Get("timestamp") == got[0].query.Get("timestamp") ||
					again.query.Get("signature") == got[0].query.Get("signature") {
					t.Error("the re-push is not signed anew")
				}
			}
			if sum := w.Accounted(); sum.Pushes != 3 || sum.Repushes != 2 || sum.Queued != 1 || !sum.Well() {
				t.Errorf("account = %+v", sum)
			}
		})
	}
}

func TestNoAnswerAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		w.server.answer = hang
		c := w.Customer(w.account, "oCustomer")
		say(t, c, "在吗")
		w.want(t, c, "fault")
		if in := c.Inbox(); len(in) != 1 || in[0].From != FromSystem || in[0].Text != FaultLine {
			t.Errorf("inbox = %+v, want the fault line", in)
		}
		if _, err := c.Tap(t.Context(), "cs1"); err != nil {
			t.Fatal(err)
		}
		if len(c.Inbox()) != 1 {
			t.Error("an event without an answer shows the customer a fault line")
		}
		sum := w.Accounted()
		if sum.Faults != 1 || sum.EventFaults != 1 || sum.Alone != 1 || sum.Broken != 2 || sum.Well() || !sum.AddsUp() {
			t.Errorf("account = %+v", sum)
		}
		if f := w.Faults(); len(f) != 2 || !strings.Contains(f[0].What, "no answer within 5s, pushed 3 times") {
			t.Errorf("faults = %v", f)
		}
	})
}

func TestMalformedAnswerIsNotPushedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	w.server.answer = func(*http.Request, heard) answer { return answer{status: 500} }
	c := w.Customer(w.account, "oCustomer")
	r := say(t, c, "在吗")
	w.want(t, c, "fault")
	if len(r.Attempts) != 1 || r.Attempts[0].Wrong != "status 500 instead of 200" {
		t.Errorf("attempts = %+v", r.Attempts)
	}
	if f := w.Faults(); len(f) != 1 || f[0].Push != r.Push.ID() || f[0].Customer != "oCustomer" || f[0].Account != "shop" {
		t.Errorf("faults = %+v", f)
	}
}

func TestRepushOfAnAnswered(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer func(*http.Request, heard) answer
		broken string
	}{
		{"same answer", transfer(""), ""},
		{"another answer", first(1, transfer(""), success), "answered with transfer and with success"},
		{"another agent", first(1, transfer("a@b"), transfer("c@d")), "answered with transfer to a@b and with transfer to c@d"},
		{"a refusal", first(1, transfer(""), func(*http.Request, heard) answer { return answer{status: 403} }), "status 403"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{}, account())
			w.server.answer = tt.answer
			c := w.Customer(w.account, "oCustomer")
			r := say(t, c, "在吗")
			if _, err := r.Push.Repush(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.want(t, c, "queued") // as the first answer said
			f := w.Faults()
			if (len(f) == 0) != (tt.broken == "") || (len(f) > 0 && !strings.Contains(f[0].What, tt.broken)) {
				t.Errorf("faults = %v, want %q", f, tt.broken)
			}
			if sum := w.Accounted(); sum.Messages != 1 || sum.Repushes != 1 || sum.Queued != 1 {
				t.Errorf("account = %+v", sum)
			}
		})
	}
}

func TestPushesAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		together := make(chan struct{})
		w.server.answer = func(r *http.Request, h heard) answer {
			select { // an answer only when both are there
			case together <- struct{}{}:
			case <-together:
			}
			return transfer("")(r, h)
		}
		c := w.Customer(w.account, "oCustomer")
		results, err := c.Text("在吗").SendTwice(t.Context())
		if err != nil || len(results[0].Attempts) != 1 || len(results[1].Attempts) != 1 {
			t.Fatalf("results = %+v, %v", results, err)
		}
		lift := w.BreakPushes(PushBreak{Twice: true, Calls: 1})
		say(t, c, "还在吗")
		lift()
		w.want(t, c, "queued", "queued")
		if sum := w.Accounted(); sum.Pushes != 4 || sum.Repushes != 2 || !sum.Well() {
			t.Errorf("account = %+v", sum)
		}
	})
}

func TestBrokenPushes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now}, account())
		c := w.Customer(w.account, "oCustomer")
		w.BreakPushes(PushBreak{DropAnswers: 2, Calls: 1})
		r := say(t, c, "一")
		if len(r.Attempts) != 3 || r.Attempts[1].Wrong != "the answer was lost on its way" || r.Reach.Fate != FateQueued {
			t.Errorf("dropped: %+v", r)
		}
		lift := w.BreakPushes(PushBreak{Slow: time.Second, Account: w.account})
		if r = say(t, c, "二"); len(r.Attempts) != 1 || r.Attempts[0].Took != 2*time.Second {
			t.Errorf("slow: %+v, want 1 s to arrive and 1 s to be read", r)
		}
		lift()
		if r = say(t, c, "三"); r.Attempts[0].Took != 0 {
			t.Errorf("lifted: %+v", r)
		}
		w.BreakPushes(PushBreak{Slow: time.Minute, Calls: 1})
		if r = say(t, c, "四"); len(r.Attempts) != 3 || r.Reach.Fate != FateFault {
			t.Errorf("too slow: %+v", r)
		}
	})
}

func TestBodies(t *testing.T) {
	t.Parallel()
	o := account()
	o.Format, o.TextNumbers = JSON, true
	w := newWorld(t, Options{}, o)
	w.server.answer = success
	c := w.Customer(w.account, "oCustomer")
	for _, p := range []*Push{c.Enter("cs1"), c.Text("hi"), c.Image(), c.Card("order", "pages/a?b=1"), c.Raw(Fields{{"MsgType", "voice"}, {"MsgId", "49d7_15"}})} {
		if _, err := p.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"Event=user_enter_tempsession", "Content=hi", "MediaId", "PagePath=pages/a?b=1", "MsgId=49d7_15"}
	for i, h := range w.server.pushes() {
		name, value, exact := strings.Cut(want[i], "=")
		if got := h.text(name); got == "" || (exact && got != value) {
			t.Errorf("push %d: %s = %q", i, name, got)
		}
		if h.fields["CreateTime"].number || (h.text("MsgId") == "") != (i == 0) {
			t.Errorf("push %d: CreateTime or MsgId: %+v", i, h.fields)
		}
	}
	w.want(t, c, "lost", "lost", "lost", "none")
	if sum := w.Accounted(); sum.Odd != 1 || sum.Lost != 3 || !sum.AddsUp() {
		t.Errorf("account = %+v", sum)
	}
	if w.server.types[0] == w.server.types[1] {
		t.Errorf("Content-Types = %v, want both of them for JSON", w.server.types)
	}
}

func TestMessageIDsNeedAllTheirBits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	r := say(t, w.Customer(w.account, "oCustomer"), "hi")
	if id := r.Push.ID(); id < 1<<53 {
		t.Errorf("MsgId %d fits a float64", id)
	}
}

func TestSessionFromIsCutByBytes(t *testing.T) {
	t.Parallel()
	long := "a" + strings.Repeat("客", 400)
	for _, format := range []Format{XML, JSON} {
		p := New(Options{}).Customer(&Account{box: New(Options{}), customers: map[string]*Customer{}}, "o").Enter(long)
		if body := p.fields.render(format); !bytes.Contains(body, []byte(long[:1000])) || bytes.Contains(body, []byte(long[:1001])) {
			t.Errorf("%s: not cut at 1000 bytes", format)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || q.Get("signature") != sign("token", q.Get("timestamp"), q.Get("nonce")) || q.Has("msg_signature") {
			http.Error(w, "bad", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(q.Get("echostr")))
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"echo", echo, ""},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, "not the echostr"},
		{"quoted", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`"` + r.URL.Query().Get("echostr") + `"`))
		}, "not the echostr"},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, "status 403"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			b := New(Options{})
			defer b.Close()
			o := account()
			o.Mode, o.Targets = Safe, []string{server.URL}
			a, err := b.AddAccount(o)
			if err != nil {
				t.Fatal(err)
			}
			err = a.Verify(t.Context())
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("verify = %v, want %q", err, tt.want)
			}
		})
	}
}

// Over a real connection: turns of several targets, one of which is gone.
func TestTargetsTakeTurns(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("success"))
	}))
	defer up.Close()
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	b := New(Options{})
	defer b.Close()
	a, err := b.AddAccount(account())
	if err != nil {
		t.Fatal(err)
	}
	if err = a.SetTargets(down.URL+"/wechat/shop", up.URL+"/wechat/shop"); err != nil {
		t.Fatal(err)
	}
	r := say(t, b.Customer(a, "oCustomer"), "hi")
	if len(r.Attempts) != 2 || !strings.Contains(r.Attempts[0].Wrong, "refused") || strings.Contains(r.Attempts[0].Wrong, "signature") || hits.Load() != 1 {
		t.Errorf("attempts = %+v, hits %d", r.Attempts, hits.Load())
	}
}

func TestCloseCutsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Now: time.Now, AcceptDelay: time.Hour}, account())
		w.agent(t, "li", AgentOptions{Online: true})
		w.server.answer = first(1, transfer(""), hang)
		c := w.Customer(w.account, "oCustomer")
		say(t, c, "一") // waits an hour in the queue
		done := make(chan error, 1)
		go func() {
			_, err := c.Say(context.WithoutCancel(t.Context()), "二")
			done <- err
		}()
		synctest.Wait()
		start := time.Now()
		w.Close()
		if err := <-done; !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("the push ended with %v after %s", err, time.Since(start))
		}
		if _, err := c.Say(t.Context(), "三"); !errors.Is(err, ErrClosed) {
			t.Errorf("a push after Close: %v", err)
		}
		w.want(t, c, "queued", "pending", "pending")
	})
}

func TestEventsAreToldInOrder(t *testing.T) {
	t.Parallel()
	var got []string
	var w *world
	w = newWorld(t, Options{OnEvent: func(e Event) {
		w.Accounted() // may be called from here
		got = append(got, string(e.Kind)+" "+e.Text)
	}}, account())
	w.agent(t, "li", AgentOptions{Online: true})
	c := w.Customer(w.account, "oCustomer")
	if _, err := c.Tap(t.Context(), "cs1"); err != nil {
		t.Fatal(err)
	}
	say(t, c, "在吗")
	say(t, c, "谢谢")
	w.agents["li"].Close(c)
	text := regexp.MustCompile(`\d{6,}`).ReplaceAllString(strings.Join(got, "|"), "N")
	want := "tapped cs1|pushed N|answered success|said 在吗|pushed N|answered transfer|queued place 1|taken |said 谢谢|straight |ended closed"
	if text != want {
		t.Errorf("events = %s\nwant     %s", text, want)
	}
}

func TestModeChangesWithTheNextPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	c := w.Customer(w.account, "oCustomer")
	say(t, c, "一")
	if w.account.SetMode(Safe, "") == nil || w.account.SetMode(Safe, "short") == nil {
		t.Error("safe mode without a good key")
	}
	rotated := strings.Repeat("k", 42) + "A"
	if err := w.account.SetMode(Safe, rotated); err != nil {
		t.Fatal(err)
	}
	w.server.o.Mode, w.server.o.AESKey = Safe, rotated
	for _, send := range []func() (Result, error){
		func() (Result, error) { return c.SendImage(t.Context()) },
		func() (Result, error) { return c.SendCard(t.Context(), "order", "pages/a") },
	} {
		if r, err := send(); err != nil || r.Reach.Fate != FateQueued || r.Push.Customer() != c {
			t.Errorf("result = %+v, %v", r, err)
		}
	}
	if sum := w.Accounted(); sum.Queued != 3 || !sum.Well() {
		t.Errorf("account = %+v, faults %v", sum, w.Faults())
	}
}

func TestJSONIsEscapedWhereItMustBe(t *testing.T) {
	t.Parallel()
	text := "\"\\\n\x01</a>你"
	var b bytes.Buffer
	quote(&b, text)
	if got, err := parse(JSON, []byte(`{"a":`+b.String()+`}`)); err != nil || got["a"].text != text || !strings.Contains(b.String(), "</a>你") {
		t.Errorf("%s is read as %q, %v", b.String(), got["a"].text, err)
	}
}

func TestPrinted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{}, account())
	say(t, w.Customer(w.account, "oCustomer"), "hi")
	var out strings.Builder
	if err := w.Accounted().Print(&out); err != nil || !strings.Contains(out.String(), "  queued    1  waits at WeChat's desk") {
		t.Errorf("%v\n%s", err, out.String())
	}
	e := Event{Account: "shop", Customer: "oCustomer", Kind: Answered, Text: "transfer", Took: 1500 * time.Microsecond}
	if got, want := e.String(), "shop oCustomer answered transfer (1.5ms)"; got != want {
		t.Errorf("event = %q, want %q", got, want)
	}
}
