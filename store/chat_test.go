package store_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kefud/kefu"
	"kefud/store"
)

const (
	joinFor = 300 * time.Millisecond
	holdFor = time.Hour
)

// A chat is an agent's chat at a Store. Its clock is the Store's too.
type chat struct {
	testing.TB
	s     *store.Store
	id    kefu.CustomerID
	clock *atomic.Int64 // after start
	heard int
	turns map[string]int64 // by customer
}

// at tells what time it is.
func (c *chat) at() time.Time         { return start.Add(time.Duration(c.clock.Load())) }
func (c *chat) later(d time.Duration) { c.clock.Add(int64(d)) }
func of(user string) kefu.CustomerID  { return kefu.CustomerID{App: "shop", User: user} }
func words(text string) kefu.Words    { return kefu.Words{Text: text} }
func picture(text string) kefu.Words {
	return kefu.Words{Text: text, Media: kefu.Media{App: "shop", ID: "m-" + text}}
}
func line(text string) kefu.Line { return kefu.Line{Words: words(text)} }
func note(text string) kefu.Line { return kefu.Line{Words: words(text), Note: true} }
func retry(at time.Time) kefu.Verdict {
	return kefu.Verdict{Outcome: kefu.OutcomeRetry, Ledger: kefu.LedgerRefund, Due: at}
}
func silent(h *kefu.Hearing) { h.Silent = true }
func target(h *kefu.Hearing) { h.Target = true }
func pick(label int) func(*kefu.Hearing) {
	return func(h *kefu.Hearing) { h.Target, h.Select, h.Label = true, true, label }
}

func mention(label int) func(*kefu.Hearing) {
	return func(h *kefu.Hearing) { h.Target, h.Label = true, label }
}

// newChat opens a Store and a chat whose agent is online and has just written.
func newChat(t testing.TB, b backend, change ...func(*store.Options)) *chat {
	t.Helper()
	clock := &atomic.Int64{}
	now := func(o *store.Options) { o.Now = func() time.Time { return start.Add(time.Duration(clock.Load())) } }
	c := chatAt(t, b.open(t, append([]func(*store.Options){now}, change...)...), "wang")
	c.clock = clock
	c.state(kefu.ChatOnline)
	c.hear()
	return c
}

// chatAt is a chat of which nothing is known yet.
func chatAt(t testing.TB, s *store.Store, user string) *chat {
	return &chat{
		TB: t, s: s, id: kefu.CustomerID{App: "switchboard", User: user}, clock: &atomic.Int64{}, turns: map[string]int64{},
	}
}

func (c *chat) state(st kefu.ChatState) kefu.Chat {
	c.Helper()
	got, err := c.s.SetState(c.Context(), c.id, st)
	if err != nil {
		c.Fatalf("set state: %v", err)
	}
	return got
}

// hearing makes the agent's next message: a command, unless changed.
func (c *chat) hearing(change ...func(*kefu.Hearing)) kefu.Hearing {
	c.heard++
	h := kefu.Hearing{
		Chat: c.id, Key: kefu.MessageKey(fmt.Sprintf("h%d", c.heard)), At: c.at(), Allowance: allowance, Idle: idle, Takeover: 5 * time.Second,
	}
	for _, f := range change {
		f(&h)
	}
	return h
}

func (c *chat) hearWith(h kefu.Hearing) kefu.Heard {
	c.Helper()
	got, err := c.s.Hear(c.Context(), h)
	if err != nil {
		c.Fatalf("hear: %v", err)
	}
	return got
}

func (c *chat) hear(change ...func(*kefu.Hearing)) kefu.Heard {
	c.Helper()
	return c.hearWith(c.hearing(change...))
}

// posting makes a posting of a customer's next turn.
func (c *chat) posting(user string, lines ...kefu.Line) kefu.Posting {
	c.turns[user]++
	last := ""
	if len(lines) > 0 {
		last = lines[0].Words.Text
	}
	return kefu.Posting{
		Chat: c.id, Customer: of(user), Key: kefu.MessageKey(fmt.Sprintf("%s-%d", user, c.turns[user])), Entry: "cs1",
		At: c.at(), Idle: idle, Turn: c.turns[user], Lines: lines, Last: last, Waits: true,
	}
}

func (c *chat) postWith(p kefu.Posting) kefu.Posted {
	c.Helper()
	got, err := c.s.Post(c.Context(), p)
	if err != nil {
		c.Fatalf("post: %v", err)
	}
	return got
}

// post posts texts of a customer, each as a line.
func (c *chat) post(user string, texts ...string) kefu.Posted {
	c.Helper()
	var lines []kefu.Line
	for _, text := range texts {
		lines = append(lines, line(text))
	}
	got := c.postWith(c.posting(user, lines...))
	if got.State != kefu.PostWritten {
		c.Fatalf("post: %+v, want it written", got)
	}
	return got
}

func (c *chat) drawLine(id string) kefu.Drawn {
	c.Helper()
	got, err := c.s.Draw(c.Context(), kefu.Draw{Chat: c.id, Line: id, At: c.at(), For: time.Minute})
	if err != nil {
		c.Fatalf("draw: %v", err)
	}
	return got
}

// draw leases what goes out next.
func (c *chat) draw() kefu.Lane {
	c.Helper()
	got := c.drawLine("")
	if got.State != kefu.DrawMine {
		c.Fatalf("drawn %+v, want the lane", got)
	}
	return got.Lane
}

func (c *chat) finish(l kefu.Lane, v kefu.Verdict) {
	c.Helper()
	if err := c.s.Finish(c.Context(), l, v); err != nil {
		c.Fatalf("finish: %v", err)
	}
}

// texts are those of the lines of a message.
func texts(l kefu.Lane) string {
	var out []string
	for _, line := range l.Delivery.Lines {
		out = append(out, shown(line.Words))
	}
	return strings.Join(out, " ")
}

// sends draws and sends one message, and compares it.
func (c *chat) sends(want string) kefu.Lane {
	c.Helper()
	l := c.draw()
	if got := texts(l); got != want || l.Delivery.More {
		c.Errorf("sent %q (more: %t), want %q", got, l.Delivery.More, want)
	}
	c.finish(l, sent(kefu.LedgerSpent))
	c.later(joinFor)
	return l
}

// all sends until nothing may be sent, and gives it all, messages apart by "|",
// word that more waits as "…".
func (c *chat) all() string {
	c.Helper()
	var out []string
	for {
		d := c.drawLine("")
		if d.State != kefu.DrawMine {
			return strings.Join(out, "|")
		}
		if d.Lane.Delivery.More {
			out = append(out, "…")
		} else {
			out = append(out, texts(d.Lane))
		}
		c.finish(d.Lane, sent(kefu.LedgerSpent))
		c.later(joinFor)
	}
}

// is compares the state of a draw for a line.
func (c *chat) is(what, id string, want kefu.DrawState) kefu.Drawn {
	c.Helper()
	got := c.drawLine(id)
	if got.State != want {
		c.Errorf("%s: drawn %+v, want state %d", what, got, want)
	}
	return got
}

func (c *chat) withdraw(p kefu.Posting, id string, want bool) {
	c.Helper()
	if got, err := c.s.Withdraw(c.Context(), p, id); got != want || err != nil {
		c.Errorf("withdraw %s: %t, %v; want %t", p.Key, got, err, want)
	}
}

func (c *chat) leave(user, to string) kefu.Left {
	c.Helper()
	got, err := c.s.Leave(c.Context(), kefu.Leaving{Chat: c.id, Customer: of(user), At: c.at(), Idle: idle, Taken: to != "", To: to})
	if err != nil {
		c.Fatalf("leave: %v", err)
	}
	return got
}

func (c *chat) opens() []kefu.Open {
	c.Helper()
	got, err := c.s.Opens(c.Context(), c.id, c.at(), idle)
	if err != nil {
		c.Fatalf("opens: %v", err)
	}
	return got
}

func testChatPost(t *testing.T, b backend) {
	c := newChat(t, b)
	p := c.posting("u1", line("你好"))
	got := c.postWith(p)
	same(t, "posted", got, kefu.Posted{Last: got.Last, Label: 1})
	again := c.postWith(p)
	same(t, "posted again", again, got)
	l := c.draw()
	same(t, "delivery", l, kefu.Lane{
		Delivery: kefu.Delivery{ID: got.Last, To: c.id, Lines: []kefu.Line{{ID: got.Last, Of: of("u1"), Label: 1, Entry: "cs1", Words: words("你好")}}},
		Lease:    c.at().Add(time.Minute), Allowed: true,
	})
	c.finish(l, sent(kefu.LedgerSpent))
	same(t, "posted after it was sent", c.postWith(p), got)
	c.is("all was sent", got.Last, kefu.DrawDone)
	c.is("nothing is left", "", kefu.DrawEmpty)

	p.Key = ""
	c.post("u2", "a")
	other := c.postWith(p)
	if other.Last == got.Last || other.Label != 1 {
		t.Errorf("without a key %+v, want it written anew under label 1", other)
	}
	if bad := c.posting("u1", line("x")); true {
		bad.Entry = "a\nb"
		if _, err := c.s.Post(t.Context(), bad); err == nil {
			t.Error("an entry with a line break is accepted")
		}
	}
}

// Everything of a line comes out as it went in.
func testChatLineFields(t *testing.T, b backend) {
	c := newChat(t, b)
	in := []kefu.Line{
		{Words: words("一\n二 \"%s\" {1} "), Ref: "c:m1"},
		{Words: picture("[图片]"), Ref: "c:m2"},
		{Words: words("part"), Part: true},
		note("note"),
	}
	p := c.posting("u 1", in...)
	p.Entry = "order: *\"引\" {1}"
	got := c.postWith(p)
	var out []kefu.Line
	for range 4 {
		l := c.draw()
		out = append(out, l.Delivery.Lines...)
		c.finish(l, sent(kefu.LedgerRefund))
		c.later(joinFor)
	}
	ids := map[string]bool{}
	for i := range out {
		ids[out[i].ID] = true
		out[i].ID = ""
		in[i].Of, in[i].Label, in[i].Entry = of("u 1"), 1, p.Entry
	}
	same(t, "lines", out, in)
	same(t, "ids", len(ids), len(in))
	if !ids[got.Last] {
		t.Errorf("posted %+v, want one of %v", got, ids)
	}
	// A note of no conversation has no label.
	c.postWith(kefu.Posting{Chat: c.id, At: c.at(), Idle: idle, Lines: []kefu.Line{note("hello")}})
	l := c.draw()
	l.Delivery.Lines[0].ID = ""
	same(t, "note", l.Delivery.Lines, []kefu.Line{note("hello")})
}

// A lane whose last try failed is told from one that somebody is sending.
func testChatPutOff(t *testing.T, b backend) {
	c := newChat(t, b)
	got := c.post("u1", "a")
	first := c.draw()
	if d := c.is("leased", got.Last, kefu.DrawWait); d.PutOff {
		t.Errorf("leased: %+v", d)
	}
	c.finish(first, retry(c.at().Add(time.Second)))
	if d := c.is("put off", got.Last, kefu.DrawWait); !d.PutOff || !d.Due.Equal(c.at().Add(time.Second)) {
		t.Errorf("put off: %+v", d)
	}
	c.later(time.Second)
	second := c.draw()
	if d := c.is("leased again", got.Last, kefu.DrawWait); d.PutOff {
		t.Errorf("leased again: %+v", d)
	}
	c.finish(second, sent(kefu.LedgerSpent))
	c.post("u1", "b")
	if d := c.is("a moment for what may come with it", "", kefu.DrawWait); d.PutOff {
		t.Errorf("after a success: %+v", d)
	}
}

// The line to be asked for is the last that is no picture.
func testChatLast(t *testing.T, b backend) {
	c := newChat(t, b)
	for i, lines := range [][]kefu.Line{
		{{Words: picture("a")}, {Words: picture("b")}},
		{{Words: picture("a")}, line("b"), {Words: picture("c")}},
		{line("a"), line("b")},
	} {
		got := c.postWith(c.posting("u1", lines...))
		var ids []string
		for range lines {
			for _, l := range c.draw().Delivery.Lines {
				ids = append(ids, l.ID)
			}
			c.is("leased", "", kefu.DrawWait)
			c.later(time.Minute)
			if len(ids) == len(lines) {
				break
			}
			c.clearLane(ids)
		}
		if want := ids[[]int{0, 1, 1}[i]]; got.Last != want {
			t.Errorf("%d: posted %+v, want %s of %v", i, got, want, ids)
		}
		c.clearLane(ids)
		c.hear()
	}
}

// clearLane takes lines away as a worker does who comes late.
func (c *chat) clearLane(ids []string) {
	c.Helper()
	var lines []kefu.Line
	for _, id := range ids {
		lines = append(lines, kefu.Line{ID: id})
	}
	c.finish(kefu.Lane{Delivery: kefu.Delivery{To: c.id, Lines: lines}}, sent(kefu.LedgerSpent))
}

func testChatRefused(t *testing.T, b backend) {
	for _, tt := range []struct {
		name    string
		prepare func(c *chat)
		want    [3]kefu.PostState // new, taken, note
	}{
		{"online", func(*chat) {}, [3]kefu.PostState{}},
		{"busy", func(c *chat) { c.state(kefu.ChatBusy) }, [3]kefu.PostState{kefu.PostRefused}},
		{"offline", func(c *chat) { c.state(kefu.ChatOffline) }, [3]kefu.PostState{kefu.PostRefused}},
		{"gone", func(c *chat) { c.state(kefu.ChatGone) }, [3]kefu.PostState{kefu.PostRefused, kefu.PostRefused, kefu.PostRefused}},
		{
			"silent for too long",
			func(c *chat) { c.later(allowance.AfterMessageWindow) },
			[3]kefu.PostState{kefu.PostRefused, kefu.PostRefused},
		},
		{"just not too long", func(c *chat) { c.later(allowance.AfterMessageWindow - time.Millisecond) }, [3]kefu.PostState{}},
		{"nothing left to send", func(c *chat) { c.post("u2", "a", "b"); c.all() }, [3]kefu.PostState{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			tt.prepare(c)
			taken, aNote := c.posting("u1", line("a")), kefu.Posting{Chat: c.id, At: c.at(), Idle: idle, Lines: []kefu.Line{note("a")}}
			taken.Taken = true
			for i, p := range []kefu.Posting{c.posting("u1", line("a")), taken, aNote} {
				if got := c.postWith(p); got.State != tt.want[i] {
					t.Errorf("%d: posted %+v, want state %d", i, got, tt.want[i])
				}
			}
		})
	}
	c := chatAt(t, b.open(t), "unknown")
	if got := c.postWith(c.posting("u1", line("a"))); got.State != kefu.PostRefused {
		t.Errorf("to a chat nobody knows: %+v", got)
	}
	c = newChat(t, b)
	p := c.posting("u1", note("about a conversation he does not have"))
	if got := c.postWith(p); got.State != kefu.PostRefused {
		t.Errorf("note: %+v", got)
	}
	same(t, "nothing was written", len(c.opens()), 0)
	c.is("nothing was written", "", kefu.DrawEmpty)
}

// What is joined in one message, and what goes alone.
func testChatJoin(t *testing.T, b backend) {
	long := strings.Repeat("长", 300) // 900 bytes
	for _, tt := range []struct {
		name  string
		lines []kefu.Line
		want  string
	}{
		{"texts", []kefu.Line{line("a"), line("b"), note("c")}, "a b c"},
		{"picture alone", []kefu.Line{line("a"), {Words: picture("p")}, line("b")}, "a|p|b"},
		{"parts alone", []kefu.Line{{Words: words("p"), Part: true}, {Words: words("q"), Part: true}, line("b")}, "p|q|b"},
		{"too long together", []kefu.Line{line(long), line(long), line("a")}, long + "|" + long + " a"},
		{"too long alone", []kefu.Line{line(long + long + long), line("a")}, long + long + long + "|a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			c.postWith(c.posting("u1", tt.lines...))
			same(t, "messages", c.all(), tt.want)
		})
	}
	t.Run("too many", func(t *testing.T) {
		t.Parallel()
		c := newChat(t, b)
		var want []string
		for i := range 42 {
			want = append(want, fmt.Sprint(i))
		}
		c.post("u1", want...)
		sent := strings.Split(c.all(), "|")
		if len(sent) >= 2 {
			t.Logf("messages of %d and %d lines", len(strings.Fields(sent[0])), len(strings.Fields(sent[1])))
		}
		same(t, "lines", strings.Fields(strings.Join(sent, " ")), want)
	})
}

// A burst comes in one message: there is a moment from one to the next.
func testChatMoment(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "a")
	c.finish(c.draw(), sent(kefu.LedgerSpent))
	got := c.post("u1", "b")
	wait := c.is("at once", got.Last, kefu.DrawWait)
	if !wait.Due.Equal(c.at().Add(joinFor)) {
		t.Errorf("due at %s, want %s", wait.Due, c.at().Add(joinFor))
	}
	c.later(joinFor - time.Millisecond)
	c.post("u2", "c")
	c.is("just before", got.Last, kefu.DrawWait)
	c.later(time.Millisecond)
	c.sends("b c")
}

// One message is kept back for word that more waits; then all is held until
// the agent writes, and comes in order.
func testChatHold(t *testing.T, b backend) {
	c := newChat(t, b)
	var last string
	for i := range 7 {
		last = c.postWith(c.posting("u1", kefu.Line{Words: words(fmt.Sprint(i)), Part: true})).Last
	}
	same(t, "messages", c.all(), "0|1|2|3|…")
	c.is("the last", last, kefu.DrawHeld)
	c.post("u2", "new")
	c.is("others", "", kefu.DrawHeld)
	c.later(holdFor)
	c.is("much later", last, kefu.DrawHeld)
	c.hear(silent)
	c.is("nothing was written", last, kefu.DrawHeld)
	c.hear()
	same(t, "flushed", c.all(), "4|5|6|new")
	c.is("all was sent", last, kefu.DrawDone)
	c.post("u1", "a")
	same(t, "the last message of the allowance", c.all(), "…")
	c.hear()
	same(t, "flushed", c.all(), "a")
}

// The agent's window closes while something waits.
func testChatClosedWindow(t *testing.T, b backend) {
	c := newChat(t, b)
	c.later(allowance.AfterMessageWindow - time.Second)
	last := c.post("u1", "a").Last
	c.later(time.Second)
	c.is("too late", last, kefu.DrawHeld)
	c.hear()
	c.sends("a")
	c.post("u1", "b")
	c.state(kefu.ChatGone)
	c.is("gone", "", kefu.DrawHeld)
	c.state(kefu.ChatOnline)
	c.is("there again, but has written nothing", "", kefu.DrawHeld)
	c.later(holdFor)
	l := c.draw()
	c.is("on its way", "", kefu.DrawWait)
	c.finish(l, retry(c.at()))
	c.hear()
	c.sends("b")
}

// The agent writes while word that more waits is on its way: nothing is held.
func testChatHeardDuringMore(t *testing.T, b backend) {
	c := newChat(t, b)
	for i := range 5 {
		c.postWith(c.posting("u1", kefu.Line{Words: words(fmt.Sprint(i)), Part: true}))
	}
	for i := range 4 {
		c.sends(fmt.Sprint(i))
	}
	more := c.draw()
	if !more.Delivery.More || more.Delivery.Lines != nil {
		t.Fatalf("drawn %+v, want word that more waits", more)
	}
	c.is("leased", "", kefu.DrawWait)
	c.later(time.Second)
	c.hear()
	c.finish(more, sent(kefu.LedgerSpent))
	c.later(joinFor)
	c.sends("4")
}

func testChatMoreNotSent(t *testing.T, b backend) {
	for _, tt := range []struct {
		name string
		v    kefu.Verdict
		want string
	}{
		{"not sent", kefu.Verdict{Outcome: kefu.OutcomeRetry, Ledger: kefu.LedgerRefund}, "…"},
		{"may be sent", kefu.Verdict{Outcome: kefu.OutcomeRetry, Ledger: kefu.LedgerSpent, Doubt: true}, ""},
		{"none left", kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerEmpty}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			for range 5 {
				c.postWith(c.posting("u1", kefu.Line{Words: words("x"), Part: true}))
			}
			for range 4 {
				c.sends("x")
			}
			more := c.draw()
			tt.v.Due = c.at()
			c.finish(more, tt.v)
			c.later(joinFor)
			same(t, "then", c.all(), tt.want)
			c.is("held", "", kefu.DrawHeld)
			c.hear()
			c.sends("x")
		})
	}
}

func testChatRetry(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "a", "b")
	for i := range 8 { // more often than the allowance would let
		l := c.draw()
		if l.Delivery.Attempts != i || texts(l) != "a b" || l.Delivery.Lines[0].Doubt != (i > 1) {
			t.Fatalf("%d: drawn %+v", i, l)
		}
		v := retry(c.at().Add(time.Second))
		v.Doubt = i == 1
		c.finish(l, v)
		c.is("too early", "", kefu.DrawWait)
		c.later(time.Second)
	}
	l := c.draw()
	c.finish(l, kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerRefund, Due: c.at().Add(time.Second)})
	c.later(time.Second)
	c.later(joinFor)
	if l = c.draw(); l.Delivery.Attempts != 8 {
		t.Errorf("a wait counts: %+v", l.Delivery)
	}
	c.finish(l, kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerRefund})
	c.is("dropped", "", kefu.DrawEmpty)
	c.postWith(c.posting("u1", kefu.Line{Words: words("x"), Part: true}, line("y")))
	c.later(joinFor)
	c.finish(c.draw(), kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerRefund, Reason: "unauthorized"})
	got, err := c.s.Buried(t.Context(), 10)
	if err != nil || len(got) != 1 || len(got[0].Delivery.Lines) != 1 || got[0].Delivery.Lines[0].Words.Text != "x" {
		t.Errorf("buried %+v, %v; want x", got, err)
	}
	c.later(joinFor)
	c.sends("y")
}

// WeChat says that none is left: everything is held until the agent writes,
// whenever it would have been tried again.
func testChatEmpty(t *testing.T, b backend) {
	c := newChat(t, b)
	last := c.post("u1", "a").Last
	c.finish(c.draw(), kefu.Verdict{Outcome: kefu.OutcomeRetry, Ledger: kefu.LedgerEmpty, Due: c.at().Add(10 * time.Minute)})
	c.is("held", last, kefu.DrawHeld)
	c.later(10 * time.Minute)
	c.is("held", last, kefu.DrawHeld)
	c.hear()
	l := c.draw()
	c.later(time.Second)
	c.hear() // a new allowance, which the old attempt does not touch
	c.finish(l, kefu.Verdict{Outcome: kefu.OutcomeRetry, Ledger: kefu.LedgerEmpty, Due: c.at()})
	c.sends("a")
	for range 3 {
		c.postWith(c.posting("u1", kefu.Line{Words: words("x"), Part: true}))
	}
	same(t, "the new allowance", c.all(), "x|x|x")
}

// Nobody ends a lease: what was on its way may have arrived.
func testChatLapse(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u1", "a")
	first := c.draw()
	c.post("u1", "b")
	c.later(time.Minute - time.Millisecond)
	c.is("leased", "", kefu.DrawWait)
	c.later(time.Millisecond)
	second := c.draw()
	if texts(second) != "a b" || !second.Delivery.Lines[0].Doubt || second.Delivery.Lines[1].Doubt {
		t.Errorf("after the lease %+v, want a in doubt, and b", second.Delivery.Lines)
	}
	// Who comes late takes away what he sent, and nothing else.
	c.finish(first, retry(c.at()))
	c.is("another's lease", "", kefu.DrawWait)
	c.finish(first, sent(kefu.LedgerRefund))
	c.is("another's lease", "", kefu.DrawWait)
	got := c.posting("u1", line("c"))
	id := c.postWith(got).Last
	c.withdraw(got, id, true)
	c.finish(second, retry(c.at()))
	c.sends("b")
	c.finish(second, sent(kefu.LedgerSpent))
	c.is("all was sent", "", kefu.DrawEmpty)
	c.post("u1", "d", "e")
	c.sends("d e")
	c.post("u1", "f")
	c.sends("f")
	c.post("u1", "g")
	same(t, "the lapsed lease counted", c.all(), "…")
}

func testChatLapseOfMore(t *testing.T, b backend) {
	c := newChat(t, b)
	for range 5 {
		c.postWith(c.posting("u1", kefu.Line{Words: words("x"), Part: true}))
	}
	for range 4 {
		c.sends("x")
	}
	more := c.draw()
	c.later(time.Minute)
	c.is("word that more waits is sent once", "", kefu.DrawHeld)
	c.finish(more, sent(kefu.LedgerSpent))
	c.is("still", "", kefu.DrawHeld)
	c.hear()
	c.sends("x")
}

func testChatWithdraw(t *testing.T, b backend) {
	c := newChat(t, b)
	c.post("u0", "old")
	c.sends("old")
	p := c.posting("u1", line("a"), line("b"))
	got := c.postWith(p)
	c.post("u2", "c")
	c.withdraw(p, got.Last, true)
	if again := c.postWith(p); again.State != kefu.PostWithdrawn {
		t.Errorf("posted again %+v, want it withdrawn", again)
	}
	c.withdraw(p, got.Last, true) // it was, and he does not have it
	c.is("withdrawn", got.Last, kefu.DrawMine)
	c.later(time.Minute)
	c.sends("c")

	p = c.posting("u1", line("d"))
	got = c.postWith(p)
	c.sends("d")
	c.withdraw(p, got.Last, false)
	if again := c.postWith(p); again != got {
		t.Errorf("posted again %+v, want %+v", again, got)
	}
}

// A conversation of which the agent has had nothing is not in his chat.
func testChatWithdrawLabel(t *testing.T, b backend) {
	for _, tt := range []struct {
		name  string
		do    func(c *chat) (kefu.Posting, string)
		opens int
	}{
		{"new", func(c *chat) (kefu.Posting, string) {
			p := c.posting("u1", line("a"), line("b"))
			return p, c.postWith(p).Last
		}, 0},
		{"he had some before", func(c *chat) (kefu.Posting, string) {
			c.post("u1", "x")
			c.sends("x")
			p := c.posting("u1", line("a"))
			return p, c.postWith(p).Last
		}, 1},
		{"he had its beginning", func(c *chat) (kefu.Posting, string) {
			p := c.posting("u1", kefu.Line{Words: words("a"), Part: true}, line("b"))
			last := c.postWith(p).Last
			c.sends("a")
			return p, last
		}, 1},
		{"another waits", func(c *chat) (kefu.Posting, string) {
			p := c.posting("u1", line("a"))
			last := c.postWith(p).Last
			c.post("u1", "b")
			return p, last
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			p, last := tt.do(c)
			c.withdraw(p, last, true)
			same(t, "conversations", len(c.opens()), tt.opens)
			got := c.hear(target)
			if (got.State == kefu.SelectFound) != (tt.opens == 1) {
				t.Errorf("heard %+v", got)
			}
		})
	}
}

// A line that is on its way is dropped if it does not arrive.
func testChatWithdrawFlying(t *testing.T, b backend) {
	for _, tt := range []struct {
		name string
		end  func(c *chat, l kefu.Lane)
		want string
	}{
		{"arrived", func(c *chat, l kefu.Lane) { c.finish(l, sent(kefu.LedgerSpent)) }, "c"},
		{"not sent", func(c *chat, l kefu.Lane) { c.finish(l, retry(c.at())) }, "b c"},
		{"not tried", func(c *chat, l kefu.Lane) {
			c.finish(l, kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerRefund, Due: c.at()})
		}, "b c"},
		{"nobody knows", func(c *chat, _ kefu.Lane) { c.later(time.Minute) }, "b c"},
	} {
		for _, how := range []string{"withdraw", "leave"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				t.Parallel()
				c := newChat(t, b)
				p := c.posting("u1", line("a"))
				last := c.postWith(p).Last
				c.post("u2", "b")
				l := c.draw()
				c.post("u2", "c")
				if how == "leave" {
					c.leave("u1", "李")
				} else {
					c.withdraw(p, last, true)
				}
				tt.end(c, l)
				c.later(joinFor)
				same(t, "then", c.all(), tt.want)
			})
		}
	}
}

// Who waits for a line to be sent learns that it was taken out with its
// conversation, whoever took that, unless somebody else was brought it.
func testChatGone(t *testing.T, b backend) {
	leave := func(c *chat, l kefu.Leaving) {
		c.Helper()
		l.Chat, l.Customer, l.At, l.Idle, l.Taken = c.id, of("u1"), c.at(), idle, true
		if _, err := c.s.Leave(c.Context(), l); err != nil {
			c.Fatalf("leave: %v", err)
		}
	}
	for _, tt := range []struct {
		name  string
		left  kefu.Leaving
		end   func(c *chat, l kefu.Lane) // of another's lease with the line in it; nil = it waits behind that
		state kefu.DrawState
		taken bool // it can be withdrawn
	}{
		{"waits", kefu.Leaving{}, nil, kefu.DrawGone, true},
		{"waits, brought", kefu.Leaving{Brought: true}, nil, kefu.DrawDone, false},
		{"waits, kept", kefu.Leaving{Keeps: true}, nil, kefu.DrawMine, true},
		{"flies, and arrives", kefu.Leaving{}, func(c *chat, l kefu.Lane) { c.finish(l, sent(kefu.LedgerSpent)) }, kefu.DrawDone, false},
		{"flies, and does not", kefu.Leaving{}, func(c *chat, l kefu.Lane) { c.finish(l, retry(c.at())) }, kefu.DrawGone, true},
		{"flies, and does not, brought", kefu.Leaving{Brought: true}, func(c *chat, l kefu.Lane) { c.finish(l, retry(c.at())) }, kefu.DrawDone, false},
		{"flies, and nobody knows", kefu.Leaving{}, func(c *chat, _ kefu.Lane) { c.later(time.Minute) }, kefu.DrawGone, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, b)
			p := c.posting("u1", line("a"))
			var last string
			if tt.end == nil {
				c.post("u2", "b")
				other := c.draw()
				last = c.postWith(p).Last
				leave(c, tt.left)
				c.finish(other, sent(kefu.LedgerSpent))
			} else {
				last = c.postWith(p).Last
				l := c.draw()
				leave(c, tt.left)
				tt.end(c, l)
			}
			c.later(joinFor)
			c.is("asked for by who waits", last, tt.state)
			c.withdraw(p, last, tt.taken)
		})
	}
}

// Lines of one customer come in the order of his turns, however they were
// written down.
func testChatTurns(t *testing.T, b backend) {
	c := newChat(t, b)
	var all []kefu.Posting
	for i := range 4 {
		all = append(all, c.posting("u1", line(fmt.Sprintf("a%d", i)), line(fmt.Sprintf("A%d", i))))
	}
	c.postWith(all[0])
	flying := c.draw()
	c.postWith(all[3])
	c.post("u2", "b")
	n := c.posting("u1", note("n"))
	n.Turn = 0
	c.postWith(n)
	c.postWith(all[1])
	c.post("u2", "c")
	c.postWith(all[2])
	c.finish(flying, retry(c.at()))
	same(t, "lines", c.all(), "a0 A0 a1 A1 a2 A2 a3 A3 b n c")

	// What is on its way goes first, whatever its turn.
	early, late := c.posting("u1", line("early")), c.posting("u1", line("late"))
	c.hear()
	c.postWith(late)
	flying = c.draw()
	c.postWith(early)
	c.finish(flying, sent(kefu.LedgerSpent))
	c.later(joinFor)
	c.sends("early")
}

// Other replicas' clocks are a second off.
func testChatClocks(t *testing.T, b backend) {
	c := newChat(t, b)
	p := c.posting("u1", line("a"))
	p.At = c.at().Add(time.Second)
	got := c.postWith(p)
	c.is("by who is behind", got.Last, kefu.DrawWait)
	c.later(time.Second)
	first := c.draw()
	c.later(-time.Second)
	c.is("leased by who is ahead", got.Last, kefu.DrawWait)
	c.finish(first, retry(c.at()))
	c.later(time.Second)
	second := c.draw()
	c.finish(second, sent(kefu.LedgerSpent))
	c.later(-time.Second)
	c.post("u1", "b")
	c.later(-time.Second)
	c.is("posted ahead", "", kefu.DrawWait)
	c.later(time.Second)
	c.sends("b") // a message of the future is no reason to wait
	o := c.opens()
	if len(o) != 1 || !o[0].Last.Equal(start.Add(time.Second)) {
		t.Errorf("conversations %+v, want the later word", o)
	}
	if left := c.hear(func(h *kefu.Hearing) { h.At = h.At.Add(-time.Second) }); left.First.After(c.at()) {
		t.Errorf("heard %+v", left)
	}
}

// The outbox leases chats like customers.
func testChatLease(t *testing.T, b backend) {
	c := newChat(t, b)
	p := newPerson(t, c.s, "u1")
	p.settle(p.push().Conversation, "wang", owing(p.notice("a")))
	c.post("u1", "x", "y")
	part := c.s.Partition(c.id)
	lanes, err := c.s.Lease(t.Context(), kefu.LeaseRequest{Partition: part, At: c.at(), For: time.Minute, Max: 10})
	if err != nil {
		t.Fatalf("lease: %v", err)
	}
	var got []string
	for _, l := range lanes {
		if l.Delivery.To == c.id {
			got = append(got, texts(l))
			c.finish(l, sent(kefu.LedgerSpent))
		}
	}
	same(t, "leased", got, []string{"x y"})
	if lanes, err = c.s.Lease(t.Context(), kefu.LeaseRequest{Partition: part, At: c.at(), For: time.Minute, Max: 10}); err != nil {
		t.Fatalf("lease: %v", err)
	}
	for _, l := range lanes {
		if l.Delivery.To == c.id {
			t.Errorf("leased %+v", l)
		}
	}
	woken := func(what string) {
		t.Helper()
		for {
			select {
			case got := <-c.s.Wake():
				if got == part {
					return
				}
			default:
				t.Errorf("%s: not woken", what)
				return
			}
		}
	}
	woken("posted")
	c.hear()
	woken("heard")
}

func testChatVanished(t *testing.T, b backend) {
	c := newChat(t, b)
	got := c.post("u1", "a")
	if err := c.s.Client().Del(t.Context(), c.s.ChatLaneKey(c.id)).Err(); err != nil {
		t.Fatal(err)
	}
	c.is("asked for", got.Last, kefu.DrawDone)
	c.is("nothing", "", kefu.DrawEmpty)
	// A lane that went while it was leased leaves nothing behind.
	c.post("u1", "a", "b")
	c.draw()
	if err := c.s.Client().Del(t.Context(), c.s.ChatLaneKey(c.id)).Err(); err != nil {
		t.Fatal(err)
	}
	p := c.posting("u1", line("c"))
	last := c.postWith(p).Last
	c.later(time.Minute)
	l := c.draw()
	if l.Delivery.Lines[0].Doubt {
		t.Errorf("drawn %+v, want no doubt", l.Delivery.Lines)
	}
	c.finish(l, retry(c.at()))
	c.withdraw(p, last, true)
	c.is("withdrawn", "", kefu.DrawEmpty)
}

func testChatCommands(t *testing.T, b backend) {
	c := newChat(t, b)
	p := newPerson(t, c.s, "u1")
	p.served("wang", 1)
	c.post("u1", "a")
	c.sends("a")
	w := c.posting("u1", line("a"))
	last := c.postWith(w).Last
	c.withdraw(w, last, true)
	c.hear(target)
	p.say("wang", "x")
	c.reply("h1", "x", 0, "")
	c.leave("u9", "")
	c.opens() // there is a connection, beside the one of the scripts
	var count atomic.Int64
	c.s.Commands(func(string) { count.Add(1) })
	one := func(what string, f func()) {
		t.Helper()
		count.Store(0)
		f()
		same(t, "commands of "+what, count.Load(), int64(1))
	}
	w = c.posting("u1", line("a"))
	one("Post", func() { last = c.postWith(w).Last })
	one("Withdraw", func() { c.withdraw(w, last, true) })
	c.post("u1", "a")
	var l kefu.Lane
	one("Draw", func() { l = c.draw() })
	one("Finish", func() { c.finish(l, sent(kefu.LedgerSpent)) })
	one("Hear", func() { c.hear(target) })
	one("Reply", func() { c.reply("h2", "x", 1, "u1") })
	one("Say", func() { p.say("wang", "x") })
	one("Leave", func() { c.leave("u1", "") })
	one("Opens", func() { c.opens() })
}
