package store_test

import (
	"fmt"
	"testing"
	"time"

	"kefud/kefu"
)

func (p *person) utterance(agent kefu.AgentID, text string) kefu.Utterance {
	p.count++
	return kefu.Utterance{
		Customer: p.id, Agent: agent, Key: kefu.MessageKey(fmt.Sprintf("s%d", p.count)), At: p.now, Idle: idle, Words: words(text),
	}
}

func (p *person) sayWith(u kefu.Utterance) kefu.Said {
	p.Helper()
	got, err := p.s.Say(p.Context(), u)
	if err != nil {
		p.Fatalf("say: %v", err)
	}
	return got
}

func (p *person) say(agent kefu.AgentID, text string) kefu.Said {
	p.Helper()
	return p.sayWith(p.utterance(agent, text))
}

// relayed is a settlement whose answer is the relay.
func relayed(within time.Duration) func(*kefu.Settlement) {
	return func(st *kefu.Settlement) {
		st.Answer, st.AnswerWithin = kefu.Answer{Way: kefu.WayRelay, Agent: st.Agent}, within
	}
}

var throughRelay = within(kefu.NewReach([]kefu.Answer{{Way: kefu.WayRelay, Agent: "wang"}, {Way: kefu.WayRelay, Agent: "li"}}))

func testSay(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.served("wang", 1)
	until := p.now.Add(48 * time.Hour)
	p.later(time.Second)
	u := p.utterance("wang", "您好")
	u.Words.Media = kefu.Media{App: "switchboard", ID: "m1"}
	got := p.sayWith(u)
	same(t, "said", got, kefu.Said{Left: 4, Until: until})
	same(t, "again", p.sayWith(u), got)
	same(t, "a second", p.say("wang", "b"), kefu.Said{Left: 3, Until: until})
	same(t, "not his", p.say("li", "c"), kefu.Said{State: kefu.SaidNotHis, Agent: "wang"})
	other := u
	other.Agent = "li" // the key is of his own chat
	same(t, "not his", p.sayWith(other), kefu.Said{State: kefu.SaidNotHis, Agent: "wang"})
	l := p.one()
	l.Delivery.ID = ""
	same(t, "delivery", l.Delivery, kefu.Delivery{
		To: p.id, Words: u.Words, Ref: "a:" + string(u.Key), Entry: "cs1", Agent: "wang", At: p.now,
	})
	same(t, "while one is sent", p.say("wang", "d"), kefu.Said{Left: 2, Until: until})
	p.later(time.Minute)
	same(t, "when nobody ended the lease", p.say("wang", "e"), kefu.Said{Left: 0, Until: until})
	p.later(48 * time.Hour)
	same(t, "too late", p.say("wang", "f"), kefu.Said{State: kefu.SaidTooLate, Until: until})
	q := newPerson(t, p.s, "u2")
	same(t, "to nobody", q.say("wang", "f"), kefu.Said{State: kefu.SaidNotHis})
}

// Answers come before notices when the allowance runs short.
func testSayRoom(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	got := p.push()
	p.settle(got.Conversation, "wang", owing(p.notices(3)...))
	until := p.now.Add(48 * time.Hour)
	for i, want := range []int{1, 0, 2, 1, 0} { // the third takes the notices' room
		same(t, "left", p.say("wang", fmt.Sprint(i)), kefu.Said{Left: want, Until: until})
	}
	same(t, "one too many", p.say("wang", "5"), kefu.Said{State: kefu.SaidWaits, Until: until})
	again := p.utterance("wang", "6")
	same(t, "one more", p.sayWith(again), kefu.Said{State: kefu.SaidWaits, Until: until})
	same(t, "again", p.sayWith(again), kefu.Said{State: kefu.SaidWaits, Until: until})
	for i := range 5 {
		l := p.one()
		same(t, "sent", l.Delivery.Words.Text, fmt.Sprint(i))
		p.finish(l, sent(kefu.LedgerSpent))
	}
	l := p.one()
	if l.Allowed {
		t.Errorf("leased %+v, want none allowed", l)
	}
	p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerRefund, Due: p.now.Add(time.Hour)})
	p.later(time.Minute)
	same(t, "held", p.say("wang", "7"), kefu.Said{State: kefu.SaidWaits, Until: until})
	p.push()
	for i := range 3 {
		l := p.one()
		same(t, "sent, as the customer has written", l.Delivery.Words.Text, fmt.Sprint(5+i))
		p.finish(l, sent(kefu.LedgerSpent))
	}
	same(t, "left", p.say("wang", "8").Left, 1)
}

// A notice that is on its way has its message; one that waits to be tried again
// has not, and makes room.
func testSayLeased(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "wang", owing(p.notice("a")))
	l := p.one()
	same(t, "left", p.say("wang", "1").Left, 3)
	p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeRetry, Ledger: kefu.LedgerRefund, Due: p.now.Add(time.Minute)})
	same(t, "left", p.say("wang", "2").Left, 2)
	same(t, "left", p.say("wang", "3").Left, 1)
	same(t, "left", p.say("wang", "4").Left, 0)
	same(t, "in the notice's place", p.say("wang", "5"), kefu.Said{Left: 0, Until: p.now.Add(48 * time.Hour)})
	p.later(time.Minute)
	same(t, "sent", p.one().Delivery.Words.Text, "1")
}

// A lane whose customer is forgotten leaves no customer behind.
func testLeaseOfForgotten(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "wang", owing(p.notice("a")))
	p.delete(p.s.CustomerKey(p.id))
	l := p.one()
	if l.Allowed || !l.Over {
		t.Errorf("leased %+v, want none allowed, for good", l)
	}
	p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerRefund, Due: p.now})
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeDropped})
	if n, err := p.s.Client().Exists(t.Context(), p.s.CustomerKey(p.id)).Result(); n != 0 || err != nil {
		t.Errorf("%d keys, %v; want none", n, err)
	}
}

// What an agent says keeps the conversation, and his seat.
func testSayKeeps(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.served("wang", 1)
	p.later(idle)
	p.say("wang", "a")
	same(t, "refreshes", p.s.Refresh(t.Context()), 1)
	p.later(idle)
	if got := p.push(); !got.Kept || got.Serving != "wang" {
		t.Errorf("got %+v, want it kept", got)
	}
	p.later(idle / 20)
	p.s.Refresh(t.Context())
	p.say("wang", "b")
	same(t, "refreshes", p.s.Refresh(t.Context()), 0)
	ttl, err := p.s.Client().PTTL(t.Context(), p.s.CustomerKey(p.id)).Result()
	if err != nil || ttl < 48*time.Hour {
		t.Errorf("TTL %s, %v", ttl, err)
	}
}

func (p *person) ends(a kefu.AgentID, notice *kefu.Delivery, want bool) {
	p.Helper()
	got, err := p.s.End(p.Context(), kefu.Closing{Customer: p.id, Agent: a, At: p.now, Notice: notice})
	if got != want || err != nil {
		p.Errorf("end: %t, %v; want %t", got, err, want)
	}
}

func testEnd(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.ends("wang", nil, false)
	got := p.push(throughRelay)
	p.seat(1, "", "wang")
	p.settle(got.Conversation, "wang", relayed(time.Minute))
	p.ends("li", nil, false)
	same(t, "seats", p.seats("wang"), 1)
	d := p.notice(kefu.NoticeClosed)
	p.ends("wang", &d, true)
	same(t, "seats", p.seats("wang"), 0)
	d.Agent = "wang"
	p.owed("notice", d)
	p.ends("wang", nil, false)
	same(t, "his answer", p.say("wang", "a"), kefu.Said{State: kefu.SaidNotHis})
	p.later(time.Minute)
	same(t, "overdue", p.overdue(time.Second), []kefu.Overdue(nil))
	next := p.push(throughRelay)
	if next.Kept || next.Serving != "" || next.Live || next.Owner != "wang" || next.Version != 2 {
		t.Errorf("the next push %+v, want it decided anew, wang the owner", next)
	}
	p.settle(next.Conversation, "wang", relayed(time.Minute))
	p.ends("wang", nil, true)
	p.owed("no notice")
	bad := kefu.Delivery{To: of("u2")}
	if _, err := p.s.End(t.Context(), kefu.Closing{Customer: p.id, Agent: "wang", Notice: &bad}); err == nil {
		t.Error("a notice to another is accepted")
	}
}

func (p *person) overdue(lease time.Duration) []kefu.Overdue {
	p.Helper()
	got, err := p.s.Overdue(p.Context(), kefu.LeaseRequest{Partition: p.s.Partition(p.id), At: p.now, For: lease, Max: 10})
	if err != nil {
		p.Fatalf("overdue: %v", err)
	}
	return got
}

func testOverdue(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push(throughRelay).Conversation, "wang", relayed(2*time.Minute))
	same(t, "at once", p.overdue(time.Second), []kefu.Overdue(nil))
	p.later(time.Minute)
	if got := p.push(throughRelay); !got.Kept {
		t.Fatalf("got %+v, want it kept", got)
	}
	p.later(time.Minute - time.Millisecond)
	same(t, "just before", p.overdue(time.Second), []kefu.Overdue(nil))
	p.later(time.Millisecond)
	want := []kefu.Overdue{{Customer: p.id, Lease: p.now.Add(time.Second), Agent: "wang", Since: start}}
	same(t, "overdue", p.overdue(time.Second), want)
	same(t, "leased", p.overdue(time.Second), []kefu.Overdue(nil))
	p.later(time.Second)
	want[0].Lease = p.now.Add(time.Second)
	same(t, "again", p.overdue(time.Second), want)

	p.say("wang", "a")
	p.later(time.Hour / 4)
	same(t, "answered", p.overdue(time.Second), []kefu.Overdue(nil))
	p.push(throughRelay)
	p.later(2 * time.Minute)
	same(t, "waits again", len(p.overdue(time.Second)), 1)

	// Another agent has as long again.
	c := p.push(within(kefu.NewReach(nil))).Conversation
	p.settle(c, "li", relayed(2*time.Minute), func(st *kefu.Settlement) { st.Missed = []kefu.AgentID{"wang"} })
	p.later(2*time.Minute - time.Millisecond)
	same(t, "just before", p.overdue(time.Second), []kefu.Overdue(nil))
	p.later(time.Millisecond)
	got := p.overdue(time.Second)
	if len(got) != 1 || got[0].Agent != "li" {
		t.Errorf("overdue %+v, want li's", got)
	}
	same(t, "who missed him", p.history().Conversation.Missed, []kefu.AgentID{"wang"})
	p.say("li", "b")
	same(t, "who missed him, after an answer", p.history().Conversation.Missed, []kefu.AgentID(nil))

	// WeChat's desk answers to nobody.
	c = p.push(within(kefu.NewReach(nil))).Conversation
	p.settle(c, "", func(st *kefu.Settlement) { st.AnswerWithin = time.Minute })
	p.later(time.Hour / 4)
	same(t, "at the desk", p.overdue(time.Second), []kefu.Overdue(nil))
	// Nobody counts.
	c = p.push(within(kefu.NewReach(nil))).Conversation
	p.settle(c, "wang", relayed(0))
	p.push(throughRelay)
	p.later(time.Hour / 4)
	same(t, "at any time", p.overdue(time.Second), []kefu.Overdue(nil))
}

// Who answers after a customer was found to have waited too long keeps him; if
// he has not, or it does not matter, he loses him.
func testOverdueMet(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push(throughRelay).Conversation, "wang", relayed(time.Minute))
	overdue := func() kefu.Overdue {
		t.Helper()
		p.later(time.Minute)
		found := p.overdue(time.Second)
		if len(found) != 1 || found[0].Agent != "wang" {
			t.Fatalf("overdue %+v, want him who waits for wang", found)
		}
		return found[0]
	}
	moving := func(since time.Time) kefu.Settled {
		t.Helper()
		return p.settleWith(p.settlement(p.history().Conversation, "li", relayed(time.Minute), func(st *kefu.Settlement) {
			st.Key, st.Answer, st.Waits = "", kefu.Answer{}, since
		}))
	}
	o := overdue()
	p.say("wang", "a")
	for _, then := range []func(){func() {}, func() { p.later(time.Second); p.push(throughRelay) }} {
		then()
		if got := moving(o.Since); got.Applied || !got.Met || got.Now.Serving != "wang" {
			t.Errorf("moved after an answer: %+v, want it with wang", got)
		}
	}
	o = overdue()
	p.later(time.Second)
	p.push(throughRelay) // he waits no shorter for that
	if got := moving(o.Since); !got.Applied {
		t.Errorf("not moved without an answer: %+v", got)
	}
	p.say("li", "b")
	if got := moving(time.Time{}); !got.Applied {
		t.Errorf("not moved, whether he waits or not: %+v", got)
	}
}

// A customer who is no longer served, or gone, is not overdue.
func testOverdueOfNobody(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	for _, damage := range []func(){
		func() { p.delete(p.s.CustomerKey(p.id)) },
		func() { p.s.Client().HSet(t.Context(), p.s.CustomerKey(p.id), "sv", "") },
		func() { p.s.Client().HSet(t.Context(), p.s.CustomerKey(p.id), "aw", "") },
	} {
		c := p.push(within(kefu.NewReach(nil))).Conversation
		p.settle(c, "wang", relayed(time.Minute))
		p.later(time.Minute)
		damage()
		same(t, "overdue", p.overdue(time.Second), []kefu.Overdue(nil))
		n, err := p.s.Client().ZCard(t.Context(), p.s.TimersKey(p.s.Partition(p.id))).Result()
		if n != 0 || err != nil {
			t.Errorf("%d timers, %v; want none", n, err)
		}
	}
}

// Whoever waits for an agent whose chat is taken from him is overdue at once.
func testUnbindHurries(t *testing.T, b backend) {
	s := b.open(t)
	c := chatAt(t, s, "o1")
	c.invites("wang", "AAAAAA", inviteFor)
	c.binds("AAAAAA", kefu.Bound{Agent: "wang"})
	c.hear()
	p := newPerson(t, s, "u1")
	p.settle(p.push(throughRelay).Conversation, "wang", relayed(time.Hour))
	c.post("u1", "a")
	same(t, "before", p.overdue(time.Second), []kefu.Overdue(nil))
	unbind(t, s, "wang", true)
	if got := p.overdue(time.Second); len(got) != 1 || got[0].Agent != "wang" || got[0].Customer != p.id {
		t.Errorf("overdue %+v, want u1 of wang", got)
	}
	unbind(t, s, "wang", false)
}

func testHurry(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	hurry := func(a kefu.AgentID, want bool) {
		t.Helper()
		if got, err := p.s.Hurry(t.Context(), p.id, a); got != want || err != nil {
			t.Errorf("hurry: %t, %v; want %t", got, err, want)
		}
	}
	hurry("wang", false)
	p.settle(p.push(throughRelay).Conversation, "wang", relayed(0))
	hurry("li", false)
	hurry("wang", true)
	same(t, "overdue", len(p.overdue(time.Second)), 1)
	p.say("wang", "a")
	hurry("wang", false)
}

// However many answers race, with repeats, each is owed once, and what is left
// adds up.
func testSayRace(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.served("wang", 1)
	left := together(func(i int) int {
		u := kefu.Utterance{
			Customer: p.id, Agent: "wang", Key: kefu.MessageKey(fmt.Sprint(i / 16)), At: p.now, Idle: idle, Words: words(fmt.Sprint(i / 16)),
		}
		got, err := p.s.Say(t.Context(), u)
		if err != nil || got.State != kefu.SaidOwed {
			t.Errorf("said %+v, %v", got, err)
		}
		return got.Left
	})
	seen := map[int]int{}
	for _, n := range left {
		seen[n]++
	}
	same(t, "left", seen, map[int]int{4: 16, 3: 16, 2: 16, 1: 16})
	said := map[string]int{}
	for range 4 {
		l := p.one()
		said[l.Delivery.Words.Text]++
		p.finish(l, sent(kefu.LedgerSpent))
	}
	same(t, "sent", said, map[string]int{"0": 1, "1": 1, "2": 1, "3": 1})
	same(t, "left over", len(p.lease(time.Minute)), 0)
}
