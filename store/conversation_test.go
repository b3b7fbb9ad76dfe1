package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kefud/kefu"
	"kefud/store"
)

func testRepeat(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	r := p.receipt()
	if got := p.receive(r); got.Repeat || got.Kept || got.Answer.Decided() || !got.First.Equal(start) {
		t.Errorf("first sight: %+v", got)
	}
	r.At = start.Add(5 * time.Second)
	inWork := kefu.Received{Repeat: true, First: start}
	same(t, "repeat in work", p.receive(r), inWork)
	same(t, "look-up in work", p.lookup(r.Key), inWork)

	p.settle(kefu.Conversation{Entry: "cs1"}, "wang")
	decided := kefu.Received{Repeat: true, First: start, Answer: named("wang")}
	same(t, "repeat", p.receive(r), decided)
	same(t, "look-up", p.lookup(r.Key), decided)
	if h := p.history(); !h.LastPush.Equal(start) {
		t.Errorf("a repeat moved the last push to %s", h.LastPush)
	}

	other := newPerson(t, p.s, "u2")
	if got := other.receive(other.receipt()); got.Repeat {
		t.Error("another customer's push of the same key is a repeat")
	}
}

func (p *person) lookup(k kefu.MessageKey) kefu.Received {
	p.Helper()
	got, err := p.s.Lookup(p.Context(), p.id, k)
	if err != nil {
		p.Fatalf("look up: %v", err)
	}
	return got
}

func testLookupOfNothing(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	same(t, "look-up", p.lookup("never"), kefu.Received{})
}

func testEntry(t *testing.T, b backend) {
	s := b.open(t)
	for _, c := range []struct {
		name string
		tag  func(*kefu.Receipt) // of the first push
		gap  time.Duration       // to the second, which has no tag
		want kefu.EntryTag
	}{
		{"none", nil, time.Minute, "cs1"},
		{"tag within its sticky", ask("cs2", time.Hour), time.Hour, "cs2"},
		{"tag beyond its sticky", ask("cs2", time.Hour), time.Hour + time.Millisecond, "cs1"},
		{"tag that is not remembered, live", ask("cs2", 0), idle, "cs2"},
		{"tag that is not remembered, idle", ask("cs2", 0), idle + time.Millisecond, "cs1"},
		{"tag remembered for less than the conversation lives", ask("cs2", time.Minute), idle, "cs2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, s, c.name)
			if c.tag == nil {
				p.push()
			} else {
				p.push(c.tag)
			}
			p.later(c.gap)
			if got := p.push(); got.Entry != c.want {
				t.Errorf("entry %q, want %q", got.Entry, c.want)
			}
		})
	}
	// Coming in anew without a tag, a customer is where he was only as long as his
	// tag is remembered, however lively the conversation.
	for _, c := range []struct {
		name   string
		sticky time.Duration
		gap    time.Duration
		want   kefu.EntryTag
	}{
		{"enters within sticky", time.Minute, time.Minute, "cs2"},
		{"enters beyond sticky", time.Minute, time.Minute + time.Millisecond, "cs1"},
		{"enters, nothing is remembered", 0, 0, "cs1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, s, c.name)
			p.push(ask("cs2", c.sticky))
			p.later(c.gap)
			if got := p.push(func(r *kefu.Receipt) { r.Enter = true }); got.Entry != c.want {
				t.Errorf("entry %q, want %q", got.Entry, c.want)
			}
		})
	}
	t.Run("default changes", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, s, "reloaded")
		p.push()
		p.later(idle + time.Second)
		got := p.push(func(r *kefu.Receipt) { r.Default = "new" })
		if got.Entry != "new" {
			t.Errorf("entry %q after a reload, want the new default: a default is not remembered", got.Entry)
		}
	})
}

func testAskAtSameEntry(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	got := p.push(askAgent("cs2", "li"))
	same(t, "asked", got.Ask, kefu.Ask{Entry: "cs2", Agent: "li"})
	p.later(time.Minute)
	same(t, "kept without a tag", p.push(enter).Ask, kefu.Ask{Entry: "cs2", Agent: "li"})
	same(t, "replaced by a group", p.push(askGroup("cs2", "presale")).Ask, kefu.Ask{Entry: "cs2", Group: "presale"})
	same(t, "replaced by a bare tag", p.push(ask("cs2", sticky)).Ask, kefu.Ask{})
	p.push(askAgent("cs2", "li"))
	p.later(sticky + time.Second)
	got = p.push()
	if got.Entry != "cs1" || got.Ask != (kefu.Ask{}) {
		t.Errorf("entry %q, asked %+v; want the default and nothing", got.Entry, got.Ask)
	}
}

func testOwnerLasts(t *testing.T, b backend) {
	s := b.open(t)
	for _, c := range []struct {
		name   string
		sticky time.Duration
		gap    time.Duration
		want   kefu.AgentID
	}{
		{"at its end", 2 * time.Hour, 2 * time.Hour, "wang"},
		{"beyond it", 2 * time.Hour, 2*time.Hour + time.Millisecond, ""},
		{"none", 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, s, c.name)
			short := func(r *kefu.Receipt) { r.DefaultSticky = c.sticky }
			got := p.push(short)
			p.settle(got.Conversation, "wang", owner("wang", 2), func(st *kefu.Settlement) { st.Sticky = c.sticky })
			p.later(c.gap)
			got = p.push(short)
			want := 0
			if c.want != "" {
				want = 2
			}
			if got.Owner != c.want || got.Borrowed != want {
				t.Errorf("owner %q, borrowed %d; want %q, %d", got.Owner, got.Borrowed, c.want, want)
			}
			if again := p.push(short); c.want == "" && again.Owner != "" {
				t.Errorf("a lapsed owner %q came back with the next push", again.Owner)
			}
		})
	}
}

func testOwnerPerEntry(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push(ask("cs1", sticky)).Conversation, "wang", owner("wang", 1))
	p.later(time.Hour)
	p.push() // the last contact at cs1
	p.later(time.Hour)
	got := p.push(ask("cs2", sticky))
	if got.Owner != "" || got.Borrowed != 0 {
		t.Errorf("the owner at cs1 is %q at cs2", got.Owner)
	}
	p.settle(got.Conversation, "li")

	p.later(sticky - time.Hour)
	got = p.push(ask("cs1", sticky))
	if got.Owner != "wang" || got.Borrowed != 1 {
		t.Errorf("back at cs1 owner %q, borrowed %d; want wang, 1", got.Owner, got.Borrowed)
	}
	if got = p.push(ask("cs2", sticky)); got.Owner != "li" {
		t.Errorf("back at cs2 owner %q, want li", got.Owner)
	}
	p.later(sticky + time.Millisecond)
	if got = p.push(ask("cs1", sticky)); got.Owner != "" {
		t.Errorf("owner %q although the last push at cs1 is longer ago than sticky", got.Owner)
	}
}

func testOwnerOutlivesOtherEntry(t *testing.T, b backend) {
	const month = 720 * time.Hour
	p := newPerson(t, b.open(t), "u1")
	got := p.push(ask("cs1", month))
	p.settle(got.Conversation, "wang", func(st *kefu.Settlement) { st.Sticky = month })
	p.push(ask("cs2", 0))
	ttl, err := p.s.Client().PTTL(t.Context(), p.s.CustomerKey(p.id)).Result()
	if err != nil || ttl < month {
		t.Errorf("after a push at an entry without sticky the customer is kept for %s, %v; want %s", ttl, err, month)
	}
}

func testKept(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.served("wang", 1)
	p.later(idle)
	r := p.receipt()
	got := p.receive(r)
	if !got.Kept || !got.Live || got.Serving != "wang" || got.Holds != "wang" {
		t.Errorf("got %+v, want it kept", got)
	}
	same(t, "answer", got.Answer, named("wang"))
	same(t, "repeat", p.receive(r), kefu.Received{Repeat: true, First: p.now, Answer: named("wang")})

	got = p.push(enter)
	same(t, "answer to an enter event", got.Answer, kefu.Answer{Way: kefu.WaySuccess, Agent: "wang"})
	got = p.push(within(kefu.NewReach([]kefu.Answer{{Way: kefu.WayRelay, Agent: "wang"}, named("li")})))
	same(t, "another way", got.Answer, kefu.Answer{Way: kefu.WayRelay, Agent: "wang"})
	if got = p.push(askAgent("cs1", "wang")); !got.Kept {
		t.Error("not kept although the agent asked for serves")
	}
}

func testNotKept(t *testing.T, b backend) {
	s := b.open(t)
	for _, c := range []struct {
		name string
		gap  time.Duration
		push func(*kefu.Receipt)
		live bool
	}{
		{"idle", idle + time.Millisecond, func(*kefu.Receipt) {}, false},
		{"out of reach", 0, within(reach("li", "wang2", "xwang")), true},
		{"nobody in reach", 0, within(""), true},
		{"another entry", 0, ask("cs2", sticky), false},
		{"another agent", 0, askAgent("cs1", "li"), true},
		{"a group", 0, askGroup("cs1", "presale"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, s, c.name)
			p.served("wang", 0)
			p.later(c.gap)
			got := p.push(c.push)
			if got.Kept || got.Answer.Decided() || got.Live != c.live || got.Holds != "wang" {
				t.Errorf("got %+v, want it not kept, live %t, holding wang's seat", got, c.live)
			}
		})
	}
	t.Run("the same group again", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, s, "group")
		p.settle(p.push(askGroup("cs1", "presale")).Conversation, "wang")
		if got := p.push(askGroup("cs1", "presale")); !got.Kept {
			t.Error("not kept although nothing new was asked for")
		}
	})
	t.Run("nobody serves", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, s, "nobody")
		p.settle(p.push().Conversation, "")
		if got := p.push(within(kefu.Reach(" =N "))); got.Kept || !got.Live {
			t.Errorf("got %+v, want it live and not kept", got)
		}
	})
}

func testKeptGreeting(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.served("wang", 1)
	greeting := kefu.Delivery{To: p.id, Notice: kefu.NoticeGreeting, At: p.now, Expires: p.now.Add(time.Minute)}
	greet := func(r *kefu.Receipt) { r.Greeting = &greeting }

	p.push(greet)
	if lanes := p.lease(time.Minute); len(lanes) != 0 {
		t.Errorf("a message was greeted: %+v", lanes)
	}
	p.push(enter, greet)
	want := greeting
	want.Agent, want.Entry = "wang", "cs1"
	p.owed("named", want)

	pool := kefu.NewReach([]kefu.Answer{{Way: kefu.WayPlain, Agent: "wang"}})
	p.push(enter, greet, within(pool))
	want.Agent = ""
	p.owed("plain", want)

	p.push(greet, askAgent("cs1", "li"))
	if lanes := p.lease(time.Minute); len(lanes) != 0 {
		t.Errorf("greeted before it is decided: %+v", lanes)
	}
}

// counted counts the commands sent from now on.
func counted(t *testing.T, s *store.Store) func(want int, what string) {
	t.Helper()
	var names []string
	s.Commands(func(name string) { names = append(names, name) })
	return func(want int, what string) {
		t.Helper()
		if len(names) != want {
			t.Errorf("%s took the commands %v, want %d", what, names, want)
		}
		names = nil
	}
}

// warm makes Redis know all scripts of a conversation.
func warm(t *testing.T, s *store.Store) {
	t.Helper()
	for i := range 3 * s.Partitions() { // every node of a cluster
		newPerson(t, s, fmt.Sprintf("warm%d", i)).served(kefu.AgentID(fmt.Sprintf("warm%d", i)), 1)
	}
}

func testKeptIsOneCommand(t *testing.T, b backend) {
	s := b.open(t)
	warm(t, s)
	p := newPerson(t, s, "u1")
	p.served("wang", 1)
	check := counted(t, s)
	p.later(time.Minute)
	if !p.push().Kept {
		t.Error("not kept")
	}
	check(1, "a kept push")
	p.push(enter, func(r *kefu.Receipt) { r.Greeting = &kefu.Delivery{To: p.id, Notice: kefu.NoticeGreeting} })
	check(1, "a kept push with a greeting")
}

func testNewAssignmentIsThreeCommands(t *testing.T, b backend) {
	s := b.open(t)
	warm(t, s)
	p := newPerson(t, s, "u1")
	check := counted(t, s)
	got := p.push()
	var agents []kefu.AgentID
	for i := range store.LadderStep - 1 {
		full := kefu.AgentID(fmt.Sprintf("warm%d", i%s.Partitions()))
		agents = append(agents, full)
	}
	seat := p.seat(1, got.Holds, append(agents, "wang")...)
	p.settle(got.Conversation, seat.Agent, owing(kefu.Delivery{To: p.id, Notice: kefu.NoticeGreeting}))
	check(3, "a new assignment")
	if seat.Agent != "wang" {
		t.Errorf("seat at %q, want wang after all who are full", seat.Agent)
	}
}

func testIdleStartsAnew(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	got := p.push()
	p.settle(got.Conversation, "li", owner("wang", 1))
	p.later(idle + time.Second)
	got = p.push()
	if got.Serving != "" || got.Live || got.Standing || got.Holds != "li" || got.Owner != "wang" {
		t.Errorf("got %+v, want a new conversation that holds li's seat and belongs to wang", got)
	}
	if got = p.push(); got.Holds != "" {
		t.Errorf("the seat of %q was reported twice", got.Holds)
	}
}

func testEntryChange(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push(ask("cs1", sticky)).Conversation, "li", owner("wang", 1))
	got := p.push(ask("cs2", sticky))
	want := kefu.Conversation{Entry: "cs2", Serving: "li", Holds: "li", Held: start, Entered: start, Version: 1}
	same(t, "at the other entry", got.Conversation, want)
	p.settle(got.Conversation, "zhao")
	got = p.push(ask("cs1", sticky))
	if got.Kept || got.Serving != "zhao" || got.Owner != "wang" {
		t.Errorf("got %+v, want to decide anew about wang's customer", got)
	}
}

func testEntered(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	at := func(what string, got kefu.Received, want time.Time) {
		t.Helper()
		if !got.Entered.Equal(want) {
			t.Errorf("%s: entered %s, want %s", what, got.Entered, want)
		}
	}
	at("first", p.push(enter), start)
	p.later(time.Minute)
	at("again", p.push(enter), start)
	p.later(time.Minute)
	at("another entry", p.push(ask("cs2", sticky)), p.now)
	p.later(idle + time.Minute)
	at("another conversation", p.push(), p.now)
}

func testHistory(t *testing.T, b backend) {
	clock := start
	s := b.open(t, func(o *store.Options) { o.Now = func() time.Time { return clock } })
	p := newPerson(t, s, "u1")
	same(t, "of nobody", p.history(), kefu.History{})

	for i := range store.RecordsKept + 5 {
		got := p.push(askAgent("cs2", kefu.AgentID(fmt.Sprintf("a%d", i%2))))
		record := kefu.Record{
			At: p.now, Kind: "enter", Entry: "cs2", Agent: "wang", Reason: kefu.ReasonStep, Way: "N",
			Candidates: []kefu.Candidate{{Agent: "wang", Step: 1, Load: i, Reason: kefu.ReasonTaken}},
		}
		p.settle(got.Conversation, "wang", func(st *kefu.Settlement) { st.Record = &record })
		p.later(time.Second)
	}
	clock = p.now
	h := p.history()
	if !h.Found || !h.LastPush.Equal(p.now.Add(-time.Second)) {
		t.Errorf("found %t, last push %s; want %s", h.Found, h.LastPush, p.now.Add(-time.Second))
	}
	same(t, "conversation", h.Conversation, kefu.Conversation{
		Entry: "cs2", Ask: kefu.Ask{Entry: "cs2", Agent: "a0"}, Owner: "wang", Serving: "wang", Live: true,
		Holds: "wang", Held: p.now.Add(-time.Second), Entered: start, Version: 1,
	})
	if len(h.Records) != store.RecordsKept {
		t.Fatalf("%d records, want %d", len(h.Records), store.RecordsKept)
	}
	same(t, "newest record", h.Records[0], kefu.Record{
		At: p.now.Add(-time.Second), Kind: "enter", Entry: "cs2", Agent: "wang", Reason: kefu.ReasonStep, Way: "N",
		Candidates: []kefu.Candidate{{Agent: "wang", Step: 1, Load: store.RecordsKept + 4, Reason: kefu.ReasonTaken}},
	})
	clock = clock.Add(idle)
	if h = p.history(); h.Conversation.Live || h.Conversation.Serving != "wang" {
		t.Errorf("after idle %+v, want it no longer live", h.Conversation)
	}
}

func testEveryKeyExpires(t *testing.T, b backend) {
	s := b.open(t, func(o *store.Options) { o.Now = func() time.Time { return start } })
	resting := newPerson(t, s, "u0")
	resting.later(-time.Hour)
	resting.push()
	resting.rests(1)
	p := newPerson(t, s, "u1")
	p.served("wang", 1)
	other := newPerson(t, s, "u2")
	got := other.push()
	other.seat(1, "", "wang")
	other.settle(got.Conversation, "", owing(kefu.Delivery{To: other.id, Notice: kefu.NoticeWaiting}), func(st *kefu.Settlement) {
		st.Record = &kefu.Record{At: other.now, Entry: "cs1"}
	})
	bury := other.lease(time.Minute)[0]
	other.finish(bury, kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
	other.retries(other.owedOf(kefu.OwedBuried)[0], kefu.Revived)
	other.settle(other.push().Conversation, "", owing(kefu.Delivery{To: other.id, Notice: kefu.NoticeWaiting}))
	other.finish(other.lease(time.Minute)[0], kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
	p.push(enter, func(r *kefu.Receipt) { r.Greeting = &kefu.Delivery{To: p.id, Notice: kefu.NoticeGreeting} })
	shareEverything(t, s)
	chatEverything(t, s)

	missing := map[string]bool{
		"partitions": true, "who": true, "push": true, "records": true, "lane": true, "lanes": true, "buried": true, "revived": true,
		"taken": true, "known": true, "queue": true, "asked": true, "list": true, "token": true, "media": true, "lead": true,
		"bucket": true, "said": true, "uttered": true, "timers": true, "chat": true, "labels": true, "chatlane": true, "posted": true, "heard": true,
		"chats": true, "owners": true, "invites": true, "guesses": true,
	}
	// Where all else is, whose chats are whose: true until somebody changes it.
	stays := func(key string) bool {
		return strings.HasSuffix(key, ":partitions") || strings.HasSuffix(key, ":chats") || strings.HasSuffix(key, ":owners")
	}
	for _, key := range allKeys(t, s) {
		ttl, err := s.Client().PTTL(t.Context(), key).Result()
		if err != nil {
			t.Fatalf("read the TTL of %s: %v", key, err)
		}
		if ttl <= 0 && !stays(key) {
			t.Errorf("%s never expires", key)
		}
		for part := range strings.SplitSeq(key, ":") {
			delete(missing, part)
		}
	}
	same(t, "kinds of keys that were not looked at", missing, map[string]bool{})
}

// chatEverything writes one key of each kind that chats need.
func chatEverything(t *testing.T, s *store.Store) {
	t.Helper()
	c := chatAt(t, s, "wang")
	c.invites("wang", "AAAAAA", inviteFor)
	c.binds("BBBBBB", kefu.Bound{State: kefu.BindWrong})
	c.binds("AAAAAA", kefu.Bound{Agent: "wang"})
	c.invites("li", "CCCCCC", inviteFor)
	c.hear()
	c.post("u3", "a")
	c.finish(c.draw(), retry(c.at()))
	c.hear(target)
	c.reply("h3", "ok", 1, "u3")
	p := newPerson(t, s, "u3")
	p.settle(p.push(throughRelay).Conversation, "wang", relayed(time.Minute))
	p.say("wang", "a")
	p.push(throughRelay)
	// Chats of which only a part is known.
	other := chatAt(t, s, "li")
	other.hear(silent, pick(1))
	other.postWith(kefu.Posting{Chat: other.id, At: start, Idle: idle, Lines: []kefu.Line{note("n")}})
	other.is("nothing may be sent", "", kefu.DrawHeld)
	third := chatAt(t, s, "zhao")
	third.is("nothing", "x", kefu.DrawDone)
	third.finish(kefu.Lane{Delivery: kefu.Delivery{To: third.id, Lines: []kefu.Line{{ID: "x"}}}}, sent(kefu.LedgerRefund))
	third.finish(kefu.Lane{Delivery: kefu.Delivery{To: third.id, More: true}}, sent(kefu.LedgerEmpty))
	third.leave("u1", "li")
	third.withdraw(third.posting("u1"), "x", false)
	third.reply("h1", "ok", 1, "u1")
}
