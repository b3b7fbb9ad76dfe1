package store_test

import (
	"testing"
	"time"

	"kefud/kefu"
)

func testSettleDecided(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	got := p.push()
	p.settle(got.Conversation, "wang")
	second := p.settlement(got.Conversation, "li", owing(kefu.Delivery{To: p.id, Notice: kefu.NoticeGreeting}))
	same(t, "a second settlement", p.settleWith(second), kefu.Settled{Answer: named("wang")})
	second.Version = 1
	same(t, "one that knows the version", p.settleWith(second), kefu.Settled{Answer: named("wang")})
	if lanes := p.lease(time.Minute); len(lanes) != 0 {
		t.Errorf("a settlement that was not applied owes %+v", lanes)
	}
	if h := p.history(); h.Conversation.Serving != "wang" || h.Conversation.Version != 1 {
		t.Errorf("conversation %+v, want wang's, version 1", h.Conversation)
	}
}

func testSettleReplaces(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.served("wang", 1)
	got := p.push()
	if !got.Kept {
		t.Fatal("not kept")
	}
	replace := func(st *kefu.Settlement) { st.Replace = true }
	p.settle(got.Conversation, "li", owner("wang", 1), replace)
	same(t, "repeat", p.lookup(p.last), kefu.Received{Repeat: true, First: start, Answer: named("li")})

	late := p.settleWith(p.settlement(got.Conversation, "zhao", replace))
	if late.Applied || late.Answer.Decided() || late.Now.Serving != "li" || late.Now.Version != 2 {
		t.Errorf("a replacement for an older version: %+v, want li's conversation and no answer", late)
	}
}

func testSettleLostRace(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	first, second := p.receipt(), p.receipt()
	a, c := p.receive(first), p.receive(second)
	st := p.settlement(a.Conversation, "wang")
	st.Key = first.Key
	if got := p.settleWith(st); !got.Applied {
		t.Fatalf("settle: %+v", got)
	}
	st = p.settlement(c.Conversation, "li")
	st.Key = second.Key
	lost := p.settleWith(st)
	same(t, "the loser", lost, kefu.Settled{Now: kefu.Conversation{
		Entry: "cs1", Owner: "wang", Serving: "wang", Live: true, Holds: "wang", Held: start, Entered: start, Version: 1,
	}})
	if got := p.lookup(second.Key); got.Answer.Decided() {
		t.Errorf("the loser's push is answered with %+v", got.Answer)
	}
	st = p.settlement(lost.Now, "wang")
	st.Key = second.Key
	if got := p.settleWith(st); !got.Applied {
		t.Errorf("the loser follows: %+v, want it applied", got)
	}
	same(t, "its answer", p.lookup(second.Key).Answer, named("wang"))
}

// A push may be settled for an entry that the customer has left meanwhile.
func testSettleAtLeftEntry(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	r := p.receipt(ask("cs1", sticky))
	first := p.receive(r)
	second := p.push(ask("cs2", sticky))
	st := p.settlement(first.Conversation, "wang")
	st.Key = r.Key
	if got := p.settleWith(st); !got.Applied {
		t.Fatalf("settle: %+v", got)
	}
	lost := p.settleWith(p.settlement(second.Conversation, "li"))
	same(t, "the later push", lost.Now, kefu.Conversation{
		Entry: "cs2", Serving: "wang", Holds: "wang", Held: start, Entered: start, Version: 1,
	})
	p.settle(lost.Now, "li")
	if got := p.push(ask("cs1", sticky)); got.Owner != "wang" {
		t.Errorf("owner at cs1 %q, want wang", got.Owner)
	}
}

func testSettleForgottenPush(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	got := p.push()
	p.delete(p.s.PushKey(p.id, p.last))
	p.later(time.Second)
	p.settle(got.Conversation, "wang")
	same(t, "repeat", p.lookup(p.last), kefu.Received{Repeat: true, First: p.now, Answer: named("wang")})
}

func testSettleForgottenCustomer(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	got := p.push()
	p.delete(p.s.CustomerKey(p.id))
	p.settle(got.Conversation, "wang")
	if h := p.history(); h.Conversation.Serving != "wang" || !h.Conversation.Live {
		t.Errorf("conversation %+v, want wang's, live", h.Conversation)
	}
	got = p.push()
	if !got.Kept {
		t.Errorf("got %+v, want it kept", got)
	}
	p.delete(p.s.CustomerKey(p.id))
	st := p.settlement(got.Conversation, "li", func(st *kefu.Settlement) { st.Replace = true })
	same(t, "of a version nobody knows", p.settleWith(st), kefu.Settled{})
}

func (p *person) delete(key string) {
	p.Helper()
	if n, err := p.s.Client().Del(p.Context(), key).Result(); err != nil || n != 1 {
		p.Fatalf("delete %s: %d, %v", key, n, err)
	}
}

func testSettleNobody(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "wang")
	p.later(time.Minute)
	got := p.push(within(""))
	p.settle(got.Conversation, "", owner("wang", 0))
	same(t, "answer", p.lookup(p.last).Answer, kefu.Answer{Way: kefu.WayPlain})
	got = p.push()
	if got.Kept || got.Serving != "" || !got.Live || got.Owner != "wang" || got.Holds != "" || got.Version != 2 {
		t.Errorf("got %+v, want wang's customer, served by nobody", got)
	}
}

func testStanding(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	standing := func(what string, want bool) kefu.Conversation {
		t.Helper()
		got := p.push(within(""))
		if got.Standing != want {
			t.Errorf("%s: standing %t, want %t", what, got.Standing, want)
		}
		return got.Conversation
	}
	p.settle(standing("nobody", false), "wang")
	p.settle(standing("the owner", false), "li", owner("wang", 1))
	p.settle(standing("a stand-in", true), "", owner("wang", 1))
	p.settle(standing("nobody after a stand-in", true), "zhao", owner("wang", 1))
	p.settle(standing("another stand-in", true), "zhao", owner("zhao", 0))
	p.settle(standing("a new owner", false), "li", owner("", 0))
	p.settle(standing("no owner", false), "li", owner("wang", 1))
	if got := p.push(ask("cs2", sticky)); got.Standing {
		t.Error("standing at another entry")
	}
	p.push(ask("cs1", sticky))
	p.later(idle + time.Second)
	standing("idle", false)
}

// Pushes that only follow an assignment do not stand in each other's way.
func testFollowing(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	first, second := p.receipt(), p.receipt()
	p.receive(first)
	p.receive(second)
	p.settle(p.push().Conversation, "wang")
	now := p.history().Conversation
	for _, key := range []kefu.MessageKey{first.Key, second.Key} {
		p.settle(now, "wang", func(st *kefu.Settlement) { st.Key = key })
	}
	if got := p.push(); got.Version != 1 || !got.Kept {
		t.Errorf("got %+v, want version 1, kept", got)
	}
	// Every other change is one.
	for i, change := range []func(*kefu.Settlement){
		owner("wang", 1), owner("li", 1), func(st *kefu.Settlement) { st.Agent = "li" }, owner("", 0),
	} {
		c := p.push(within("")).Conversation
		if c.Version != int64(i+1) {
			t.Errorf("version %d, want %d", c.Version, i+1)
		}
		p.settle(c, "wang", change)
	}
}
