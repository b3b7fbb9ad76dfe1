package store_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"kefud/kefu"
)

// The quick way of receive.lua leaves behind and answers what the thorough one does,
// after whatever has come before. Both have to be taken often, or this would show little.
func testKeptAsThoroughly(t *testing.T, b backend) {
	const steps, conversations = 60, 16
	kept, other := 0, 0
	for seed := range uint64(conversations) {
		quick, thorough := newPerson(t, b.open(t), "u1"), newPerson(t, b.open(t), "u1")
		thorough.s.Thorough()
		ones, twos := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 1))
		for i := range steps {
			what, got := chance(quick, ones)
			_, want := chance(thorough, twos)
			if got.Kept {
				kept++
			} else {
				other++
			}
			same(t, fmt.Sprintf("seed %d, step %d: %s", seed, i, what), got, want)
			same(t, fmt.Sprintf("seed %d, step %d: %s: the hash", seed, i, what), filled(quick), filled(thorough))
			if t.Failed() {
				return
			}
		}
	}
	if kept < 100 || other < 100 {
		t.Errorf("%d pushes kept, %d not; want 100 of each", kept, other)
	}
}

// chance does something to a customer, by chance.
func chance(p *person, r *rand.Rand) (string, kefu.Received) {
	p.Helper()
	pauses := []time.Duration{0, -time.Second, time.Second, time.Second, time.Second, time.Second, 10 * time.Second, time.Minute, 2 * time.Minute, idle, idle + time.Millisecond, 3 * idle / 2, sticky + time.Second}
	reaches := []kefu.Reach{everybody, everybody, everybody, reach("li"), reach("wang"), kefu.NewReach(nil), throughChats()}
	stickies := []time.Duration{sticky, sticky, sticky, 0, 5 * time.Second}
	idles := []time.Duration{idle, idle, idle, 2 * idle, idle / 5, 20 * idle} // of six, seven and eight digits in ms
	p.later(pauses[r.IntN(len(pauses))])
	change := func(x *kefu.Receipt) {
		x.Reach, x.DefaultSticky, x.Idle = reaches[r.IntN(len(reaches))], stickies[r.IntN(len(stickies))], idles[r.IntN(len(idles))]
		x.Allowance.AfterMessage, x.Allowance.AfterEnter = r.IntN(2), r.IntN(2)
	}
	agent := []kefu.AgentID{"wang", "wang", "li", ""}[r.IntN(4)]
	switch r.IntN(12) {
	case 0:
		return "an enter event", p.push(change, enter)
	case 1:
		return "another entry", p.push(change, ask("cs2", stickies[r.IntN(len(stickies))]))
	case 2:
		return "an agent asked for", p.push(change, askAgent("cs1", agent))
	case 3:
		return "a group asked for", p.push(change, askGroup("cs1", "sales"))
	case 4:
		return "a repeat", p.receive(kefu.Receipt{
			Customer: p.id, Key: p.last, At: p.now, Default: "cs1", DefaultSticky: sticky, Reach: everybody, Idle: idle, Allowance: allowance,
		})
	case 5, 6:
		got := p.push(change)
		p.settleWith(p.settlement(got.Conversation, agent, owner([]kefu.AgentID{"wang", agent, ""}[r.IntN(3)], r.IntN(2)), owing(p.notice("a"))))
		return "a settlement", got
	case 7:
		p.lease(time.Second) // there may be nothing, or nothing allowed: then it is held
		return "a lease", p.push(change)
	}
	return "a message", p.push(change)
}

func throughChats() kefu.Reach {
	return kefu.NewReach([]kefu.Answer{{Way: kefu.WayRelay, Agent: "wang"}, named("li")})
}

// filled is the customer's hash, but for fields that hold nothing.
func filled(p *person) map[string]string {
	p.Helper()
	hash, err := p.s.Client().HGetAll(p.Context(), p.s.CustomerKey(p.id)).Result()
	if err != nil {
		p.Fatal(err)
	}
	for name, value := range hash {
		if value == "" {
			delete(hash, name)
		}
	}
	return hash
}

// Both ways keep a conversation as long as each other, too: while it goes on for hours,
// with an owner who is his for shorter or longer, and allowances that change.
func testKeptForHours(t *testing.T, b backend) {
	const pushes, pause = 14, 25 * time.Minute
	who, quick, thorough := 0, b.open(t), b.open(t)
	thorough.Thorough()
	for _, lasts := range []time.Duration{0, 5 * time.Second, sticky, 3 * sticky} {
		for _, a := range []kefu.AgentID{"wang", ""} {
			for _, borrowed := range []int{0, 1} {
				for _, window := range []time.Duration{time.Minute, sticky, 4 * sticky} {
					who++
					user := fmt.Sprint("u", who)
					one, two := newPerson(t, quick, user), newPerson(t, thorough, user)
					for i := range pushes {
						for _, p := range []*person{one, two} {
							p.later(pause)
							got := p.push(func(r *kefu.Receipt) {
								r.DefaultSticky, r.Allowance.AfterMessageWindow = lasts, window
								if i > pushes/2 {
									r.Allowance.AfterMessageWindow = 5 * window
								}
							})
							if i == 0 {
								p.settle(got.Conversation, "wang", owner(a, borrowed), func(st *kefu.Settlement) { st.Sticky = lasts })
							}
						}
						same(t, fmt.Sprintf("lasting %s, owner %q, borrowed %d, window %s, push %d: the hash", lasts, a, borrowed, window, i),
							filled(one), filled(two))
					}
				}
			}
		}
	}
}

// The quick way ends before the TTL has to be moved, though it tells times by their first
// digits.
func testKeptToTheSecond(t *testing.T, b backend) {
	one, two := newPerson(t, b.open(t), "u1"), newPerson(t, b.open(t), "u1")
	two.s.Thorough()
	push := func(at time.Time) {
		for _, p := range []*person{one, two} {
			p.now = at
			p.push(func(r *kefu.Receipt) { r.Allowance.AfterMessageWindow = time.Minute }) // it is not what the TTL goes by
		}
	}
	one.served("wang", 0)
	two.served("wang", 0)
	calm, err := strconv.ParseInt(filled(one)["q"][:10], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	last := time.Unix(calm, 0).UTC()
	for one.now.Before(last.Add(-idle)) {
		push(one.now.Add(idle))
	}
	for at := last.Add(-time.Second); at.Before(last.Add(3 * time.Second)); at = at.Add(100 * time.Millisecond) {
		push(at)
		same(t, fmt.Sprintf("the hash %s after the last calm second", at.Sub(last)), filled(one), filled(two))
	}
}

// A message makes a lane due that has waited for one, though the conversation goes on as
// it was; the quick way, which knows nothing of lanes, is taken again after it.
func testKeptWakesLane(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	calm := func() bool { return strings.Trim(filled(p)["q"][:10], "0") != "" }
	p.served("wang", 0)
	p.settle(p.push(within("")).Conversation, "wang", owing(p.notices(2*allowance.AfterMessage)...))
	if !calm() {
		t.Fatal("not calm in a conversation that goes on")
	}
	l := p.one()
	for ; l.Allowed; l = p.one() {
		p.finish(l, sent(kefu.LedgerSpent))
	}
	p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeWait, Due: p.now.Add(time.Minute), Ledger: kefu.LedgerRefund})
	if calm() {
		t.Error("calm while a lane waits for him")
	}
	p.later(time.Second)
	if early := p.lease(time.Minute); len(early) != 0 {
		t.Errorf("due before he writes: %+v", early)
	}
	if got := p.push(); !got.Kept {
		t.Errorf("%+v, want kept", got)
	}
	if l := p.one(); !l.Allowed {
		t.Errorf("%+v, want one that is allowed", l)
	}
	if !calm() {
		t.Error("not calm again")
	}
}
