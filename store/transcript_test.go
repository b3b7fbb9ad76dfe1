package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/kefu"
	"kefud/store"
)

const keep = 30 * 24 * time.Hour

func told(text string) func(*kefu.Receipt) {
	return func(r *kefu.Receipt) { r.Reach, r.Words, r.Keep = reachRelay, words(text), keep }
}

var reachRelay = kefu.NewReach([]kefu.Answer{{Way: kefu.WayRelay, Agent: "wang"}, {Way: kefu.WayRelay, Agent: "li"}})

// chatting brings the person into a relayed conversation, whose first message
// is "hello".
func (p *person) chatting(a kefu.AgentID) {
	p.Helper()
	p.settle(p.push(told("hello")).Conversation, a, relayed(time.Minute), func(st *kefu.Settlement) {
		st.Words, st.Keep = words("hello"), keep
	})
}

func (p *person) answers(a kefu.AgentID, w kefu.Words) kefu.MessageKey {
	p.Helper()
	u := p.utterance(a, "")
	u.Words, u.Keep = w, keep
	p.sayWith(u)
	return u.Key
}

func (p *person) marks(m kefu.Mark) {
	p.Helper()
	m.Keep = keep
	if err := p.s.Mark(p.Context(), p.id, m); err != nil {
		p.Fatalf("mark: %v", err)
	}
}

func (p *person) sayings(limit int) []kefu.Saying {
	p.Helper()
	got, err := p.s.Sayings(p.Context(), p.id, limit)
	if err != nil {
		p.Fatalf("sayings: %v", err)
	}
	for i := range got {
		if got[i].ID == "" || (i > 0 && got[i].ID == got[i-1].ID) {
			p.Errorf("id %q", got[i].ID)
		}
		got[i].ID = ""
	}
	return got
}

func testTranscript(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	same(t, "of nothing", len(p.sayings(0)), 0)
	p.marks(kefu.Mark{Ref: "x", State: kefu.SayingSent})
	same(t, "of nothing", len(p.sayings(0)), 0)
	p.chatting("wang")
	hello := "c:" + string(p.last)
	p.later(time.Minute)
	if got := p.push(told("a\nb")); !got.Kept {
		t.Fatalf("got %+v, want it kept", got)
	}
	second := "c:" + string(p.last)
	key := p.answers("wang", picture("[图片]"))
	p.marks(kefu.Mark{Ref: hello, State: kefu.SayingSent})
	p.marks(kefu.Mark{Ref: second, State: kefu.SayingUndeliverable, Reason: "gone"})
	p.marks(kefu.Mark{Ref: "a:none", State: kefu.SayingSent})
	say := func(at time.Time, d kefu.Direction, text string) kefu.Saying {
		return kefu.Saying{At: at, Direction: d, Agent: "wang", Text: text, State: kefu.SayingAccepted}
	}
	want := []kefu.Saying{
		say(start, kefu.FromCustomer, "hello"), say(p.now, kefu.FromCustomer, "a\nb"), say(p.now, kefu.FromAgent, "[图片]"),
	}
	want[0].State = kefu.SayingSent
	want[1].State, want[1].Reason = kefu.SayingUndeliverable, "gone"
	want[2].Picture, want[2].Media = true, picture("[图片]").Media
	want[0].Ref, want[1].Ref, want[2].Ref = hello, second, "a:"+string(key)
	same(t, "sayings", p.sayings(0), want)
	p.marks(kefu.Mark{Ref: "a:" + string(key), State: kefu.SayingSent})
	want[2].State = kefu.SayingSent
	for limit, n := range []int{3, 1, 2, 3, 3} {
		same(t, "sayings", p.sayings(limit), want[3-n:])
	}
	all, err := p.s.Transcript(t.Context(), p.id)
	if err != nil || len(all) != 3 {
		t.Errorf("transcript %+v, %v", all, err)
	}
	// Who is not told by relay is not written down.
	p.push(func(r *kefu.Receipt) { r.Words = words("to the desk") })
	p.push(told(""))
	same(t, "sayings", p.sayings(0), want)
}

// A message that had to go from one agent to another was said once.
func testTranscriptMoved(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.chatting("wang")
	p.later(time.Second)
	got := p.push(told("a"))
	p.later(time.Second)
	p.settle(got.Conversation, "li", relayed(time.Minute), func(st *kefu.Settlement) {
		st.Words, st.Keep, st.Replace = words("a"), keep, true
	})
	all := p.sayings(0)
	if len(all) != 2 || all[1].Agent != "li" || all[1].Text != "a" || !all[1].At.Equal(start.Add(time.Second)) {
		t.Errorf("sayings %+v, want a once, to li", all)
	}
	same(t, "sayings", p.sayings(1), all[1:])
}

// However many marks come after them, as many sayings are found as were asked for.
func testTranscriptLong(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.chatting("wang")
	const many = 3 * store.SayingsRead
	var want []string
	var refs []string
	for i := range many {
		want = append(want, fmt.Sprint(i))
		p.push(told(want[i]))
		refs = append(refs, "c:"+string(p.last))
	}
	for _, ref := range refs {
		p.marks(kefu.Mark{Ref: ref, State: kefu.SayingSent})
	}
	for _, n := range []int{1, 5, store.SayingsRead - 1, store.SayingsRead, store.SayingsRead + 1, many} {
		var got []string
		for _, s := range p.sayings(n) {
			got = append(got, s.Text)
			same(t, "state", s.State, kefu.SayingSent)
		}
		if !slices.Equal(got, want[many-n:]) {
			t.Errorf("the last %d: %d, from %v", n, len(got), got[:min(1, len(got))])
		}
	}
	same(t, "all", len(p.sayings(0)), many+1)
}

// Transcripts are kept as long as they are to be, by the clock of who writes.
func testTranscriptKept(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.chatting("wang")
	ttl := func(want time.Duration) {
		t.Helper()
		got, err := p.s.Client().PTTL(t.Context(), p.s.SaidKey(p.id)).Result()
		if err != nil || got > want || got < want-time.Minute {
			t.Errorf("TTL %s, %v; want %s", got, err, want)
		}
	}
	ttl(keep)
	p.later(time.Minute)
	p.push(told("a"))
	p.later(-time.Second)
	p.push(told("by a clock that is behind"))
	p.later(keep - time.Minute + time.Second)
	p.chattingOn("b")
	same(t, "sayings", p.said(), "hello a by a clock that is behind b")
	p.later(2 * time.Minute)
	p.chattingOn("c")
	same(t, "sayings", p.said(), "b c")

	// Without a time only as long as a handover may need it.
	q := newPerson(t, p.s, "u2")
	q.chatting("wang")
	for i := range 25 {
		q.push(told(fmt.Sprint(i)), func(r *kefu.Receipt) { r.Keep = 0 })
	}
	same(t, "sayings", len(q.sayings(0)), 20)
	if got, err := q.s.Client().PTTL(t.Context(), q.s.SaidKey(q.id)).Result(); err != nil || got > 48*time.Hour {
		t.Errorf("TTL %s, %v", got, err)
	}
}

// chattingOn writes again after the conversation was idle.
func (p *person) chattingOn(text string) {
	p.Helper()
	p.settle(p.push(within("")).Conversation, "wang", relayed(time.Minute), func(st *kefu.Settlement) { st.Words, st.Keep = words(text), keep })
}

func (p *person) said() string {
	var out []string
	for _, s := range p.sayings(0) {
		out = append(out, shown(s.Words()))
	}
	return strings.Join(out, " ")
}

// Nothing of a customer is left, and everything of others is.
func testForget(t *testing.T, b backend) {
	c := newChat(t, b, func(o *store.Options) { o.Partitions = 2 })
	c.announces(kefu.Chat{Agent: "wang", ID: c.id, State: kefu.ChatOnline, Until: c.at().Add(time.Hour)}, true)
	p, q := newPerson(t, c.s, "forgotten"), newPerson(t, c.s, "other")
	for _, x := range []*person{p, q} {
		x.seat(0, "", "wang")
		x.settle(x.push(told("hello")).Conversation, "wang", relayed(time.Minute), owing(x.notice("a")), func(st *kefu.Settlement) {
			st.Words, st.Keep, st.Record = words("hello"), keep, &kefu.Record{Entry: "cs1"}
		})
		x.answers("wang", words("hi"))
		x.push(told("thanks"))
	}
	// Burials: of his own lane, and of a chat's with lines of both.
	for _, x := range []*person{p, q} {
		for _, l := range x.lease(time.Minute) {
			v := kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"}
			if l.Delivery.To != x.id {
				v = retry(x.now)
			}
			c.finish(l, v)
		}
	}
	c.post("forgotten", "x")
	c.post("other", "y")
	c.finish(c.draw(), kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
	c.later(joinFor)
	c.post("forgotten", "z")
	c.finish(c.draw(), kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
	c.later(joinFor)
	n := c.posting("forgotten", note("n"))
	n.Turn = 0
	c.postWith(n)
	c.post("forgotten", "x")
	c.post("other", "y")
	flying := c.draw()
	c.post("forgotten", "x")
	if err := c.s.Forget(t.Context(), p.id); err != nil {
		t.Fatalf("forget: %v", err)
	}
	c.finish(flying, retry(c.at()))
	c.sends("y")

	if h := p.history(); h.Found {
		t.Errorf("history %+v", h)
	}
	same(t, "sayings", len(p.sayings(0)), 0)
	same(t, "seats", q.seats("wang"), 1)
	same(t, "sayings of the other", len(q.sayings(0)), 3)
	var opens []string
	for _, o := range c.opens() {
		opens = append(opens, o.Customer.User)
	}
	same(t, "conversations", opens, []string{"other"})
	buried, err := c.s.Buried(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range buried {
		if g.Delivery.To == p.id || slices.ContainsFunc(g.Delivery.Lines, func(l kefu.Line) bool { return l.Of == p.id }) {
			t.Errorf("buried %+v", g)
		}
	}
	same(t, "burials", len(buried), 2)
	for i, x := range []*person{q, p} {
		x.later(time.Hour)
		same(t, "overdue", len(x.overdue(time.Minute)), 1-i)
	}
	left := leftOf(t, c.s, "forgotten")
	for _, key := range left {
		if ttl, err := c.s.Client().PTTL(t.Context(), key).Result(); err != nil || ttl > time.Minute {
			t.Errorf("%s is left, for %s, %v", key, ttl, err)
		}
	}
	// Who is unknown is forgotten easily.
	if err := c.s.Forget(t.Context(), of("nobody")); err != nil {
		t.Errorf("forget nobody: %v", err)
	}
}

// leftOf lists the keys that hold a text, in their name or as they are dumped.
func leftOf(t *testing.T, s *store.Store, text string) []string {
	t.Helper()
	var out []string
	for _, key := range allKeys(t, s) {
		if strings.Contains(key, text) || strings.Contains(contents(t, s, key), text) {
			out = append(out, key)
		}
	}
	return out
}

// contents gives everything that a key holds.
func contents(t *testing.T, s *store.Store, key string) string {
	t.Helper()
	kind, err := s.Client().Type(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	switch kind {
	case "string":
		v, err = s.Client().Get(t.Context(), key).Result()
	case "hash":
		v, err = s.Client().HGetAll(t.Context(), key).Result()
	case "list":
		v, err = s.Client().LRange(t.Context(), key, 0, -1).Result()
	case "zset":
		v, err = s.Client().ZRange(t.Context(), key, 0, -1).Result()
	case "stream":
		v, err = s.Client().XRange(t.Context(), key, "-", "+").Result()
	}
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return fmt.Sprint(v)
}
