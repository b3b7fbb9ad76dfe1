package store_test

import (
	"strings"
	"testing"
	"time"

	"kefud/kefu"
	"kefud/store"
)

// owedOf gives what is owed in a state, all pages of it, and their ids.
func (p *person) owedOf(state kefu.OwedState) []kefu.Owed {
	p.Helper()
	var all []kefu.Owed
	for cursor := ""; ; {
		page, err := p.s.Owed(p.Context(), kefu.OwedQuery{State: state, Limit: 2, Cursor: cursor})
		if err != nil {
			p.Fatalf("owed: %v", err)
		}
		if len(page.Deliveries) > 2 {
			p.Errorf("a page of %d deliveries, want 2 at most", len(page.Deliveries))
		}
		all = append(all, page.Deliveries...)
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// retries puts a buried delivery back.
func (p *person) retries(o kefu.Owed, want kefu.RevivalOutcome) kefu.Revival {
	p.Helper()
	got, err := p.s.Retry(p.Context(), o.ID)
	if err != nil || got.Outcome != want {
		p.Errorf("retry of %s: %+v, %v; want outcome %d", o.ID, got, err, want)
	}
	return got
}

// buries gives up what is the first in the person's lane.
func (p *person) buries(reason string, code int) {
	p.Helper()
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: reason, Code: code, Ledger: kefu.LedgerRefund})
}

// clocked is a store whose clock is the person's.
func clocked(t *testing.T, b backend) *person {
	t.Helper()
	p := newPerson(t, nil, "u1")
	p.s = b.open(t, func(o *store.Options) { o.Now = func() time.Time { return p.now } })
	p.s.Buckets(16) // which are walked more quickly than all there are
	return p
}

func testOwedBuried(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	same(t, "nothing", p.owedOf(kefu.OwedBuried), []kefu.Owed(nil))
	until := p.now.Add(48 * time.Hour)
	p.say("wang", "机密")
	p.later(time.Second)
	p.buries("unauthorized", 48001)
	got := p.owedOf(kefu.OwedBuried)
	if len(got) != 1 || got[0].ID == "" || strings.Contains(got[0].ID, p.id.User) {
		t.Fatalf("buried: %+v", got)
	}
	got[0].ID = ""
	same(t, "buried", got[0], kefu.Owed{
		To: p.id, Kind: "answer", Agent: "wang", State: kefu.OwedBuried, Reason: "unauthorized", Code: 48001,
		At: p.now.Add(-time.Second), Buried: p.now, Until: until,
	})
}

func testOwedWaiting(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	until := p.now.Add(48 * time.Hour)
	p.settle(p.push(within("")).Conversation, "wang", owing(p.notice(kefu.NoticeWaiting)))
	p.say("wang", "b")
	due := p.now.Add(time.Minute)
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeRetry, Due: due, Ledger: kefu.LedgerRefund})
	got := p.owedOf(kefu.OwedWaiting)
	for i := range got {
		if got[i].ID == "" || strings.Contains(got[i].ID, p.id.User) {
			t.Errorf("id %q", got[i].ID)
		}
		got[i].ID = ""
	}
	same(t, "waiting", got, []kefu.Owed{
		{To: p.id, Kind: "waiting", State: kefu.OwedWaiting, Reason: "retry", Attempts: 1, At: start, Due: due, Until: start.Add(time.Hour)},
		{To: p.id, Kind: "answer", Agent: "wang", State: kefu.OwedWaiting, At: start, Due: due, Until: until},
	})
	same(t, "buried", p.owedOf(kefu.OwedBuried), []kefu.Owed(nil))

	c := newChat(t, b)
	c.post("u9", "x")
	page, err := c.s.Owed(t.Context(), kefu.OwedQuery{State: kefu.OwedWaiting, Limit: 10})
	if err != nil || len(page.Deliveries) != 1 || page.Deliveries[0].Kind != "line" || page.Deliveries[0].Until.IsZero() {
		t.Errorf("lines to a chat: %+v, %v", page, err)
	}
}

func testOwedPages(t *testing.T, b backend) {
	s := b.open(t)
	var want []kefu.Owed
	for _, user := range []string{"u1", "u2", "u3", "u4", "u5"} {
		p := newPerson(t, s, user)
		p.settle(p.push().Conversation, "", owing(p.notices(3)...))
		for range 2 {
			l := p.lease(time.Minute)
			for _, lane := range l {
				if lane.Delivery.To == p.id {
					p.finish(lane, kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
				}
			}
		}
		want = append(want, kefu.Owed{To: p.id})
	}
	for state, each := range map[kefu.OwedState]int{kefu.OwedBuried: 2, kefu.OwedWaiting: 1} {
		n, ids := map[string]int{}, map[string]bool{}
		for _, o := range newPerson(t, s, "").owedOf(state) {
			n[o.To.User]++
			ids[o.ID] = true
		}
		for _, o := range want {
			if n[o.To.User] != each {
				t.Errorf("%s: %d of %s, want %d", state, n[o.To.User], o.To.User, each)
			}
		}
		if len(ids) != each*len(want) {
			t.Errorf("%s: %d different ids, want %d", state, len(ids), each*len(want))
		}
		for _, q := range []kefu.OwedQuery{
			{State: state, App: "other", Limit: 10},
			{State: state, Limit: 0},
			{State: state, Limit: 10, Cursor: "9999.0.0"},
		} {
			if page, err := s.Owed(t.Context(), q); err != nil || len(page.Deliveries) != 0 || page.Next != "" {
				t.Errorf("%+v: %+v, %v; want nothing", q, page, err)
			}
		}
		for _, cursor := range []string{"x", "-1.0.0", "1.2"} {
			if page, err := s.Owed(t.Context(), kefu.OwedQuery{State: state, Limit: 100, Cursor: cursor}); err != nil || len(page.Deliveries) != each*len(want) {
				t.Errorf("cursor %q: %d deliveries, %v; want all", cursor, len(page.Deliveries), err)
			}
		}
	}
}

// What is put back stands where it stood among those that are still there,
// whatever the order in which it is put back.
func testRetryOrder(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	for _, text := range []string{"a", "b", "c", "d"} {
		p.say("wang", text)
	}
	for range 3 {
		p.buries("unauthorized", 48001)
	}
	p.push() // five more may be sent
	p.say("wang", "e")
	buried := p.owedOf(kefu.OwedBuried) // c, b, a
	for _, i := range []int{1, 2, 0} {
		if got := p.retries(buried[i], kefu.Revived); !got.Until.Equal(p.now.Add(48 * time.Hour)) {
			t.Errorf("until %s", got.Until)
		}
		p.retries(buried[i], kefu.RevivedBefore)
	}
	same(t, "buried", p.owedOf(kefu.OwedBuried), []kefu.Owed(nil))
	var got []string
	for range 5 {
		l := p.one()
		got = append(got, l.Delivery.Words.Text)
		same(t, "attempts", l.Delivery.Attempts, 0)
		p.finish(l, sent(kefu.LedgerSpent))
	}
	same(t, "order", got, []string{"a", "b", "c", "d", "e"})
	p.retries(buried[0], kefu.RevivedBefore)
	if more := p.lease(time.Minute); len(more) != 0 {
		t.Errorf("owed again: %+v", more)
	}
}

// What is on its way is not overtaken, and its end is not mistaken for that of
// what was put back.
func testRetryWhileLeased(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	for _, text := range []string{"a", "b", "c"} {
		p.say("wang", text)
	}
	p.buries("unauthorized", 48001)
	flying := p.one() // b
	p.retries(p.owedOf(kefu.OwedBuried)[0], kefu.Revived)
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("leased twice: %+v", got)
	}
	p.finish(flying, sent(kefu.LedgerSpent))
	for _, want := range []string{"a", "c"} {
		l := p.one()
		same(t, "next", l.Delivery.Words.Text, want)
		p.finish(l, sent(kefu.LedgerSpent))
	}
	if more := p.lease(time.Minute); len(more) != 0 {
		t.Errorf("still owed: %+v", more)
	}
}

func testRetryRefused(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	until := p.now.Add(48 * time.Hour)
	p.say("wang", "a")
	p.buries("unauthorized", 48001)
	answer := p.owedOf(kefu.OwedBuried)[0]
	p.settle(p.push(within("")).Conversation, "wang", owing(p.notice(kefu.NoticeWaiting)))
	p.buries("unauthorized", 48001)
	notice := p.owedOf(kefu.OwedBuried)[0]

	p.later(time.Hour)
	if got := p.retries(notice, kefu.RevivalExpired); !got.Until.Equal(p.now) {
		t.Errorf("a useless notice: %+v", got)
	}
	p.later(47 * time.Hour)
	if got := p.retries(answer, kefu.RevivalOver); !got.Until.Equal(until) {
		t.Errorf("too late: %+v", got)
	}
	if n := len(p.owedOf(kefu.OwedBuried)); n != 2 {
		t.Errorf("%d are buried, want both still", n)
	}
	p.served("wang", 1) // he writes again
	p.say("wang", "b")
	p.buries("unreadable", 0)
	p.retries(p.owedOf(kefu.OwedBuried)[0], kefu.RevivalUnreadable)
	p.delete(p.s.CustomerKey(p.id))
	p.retries(answer, kefu.RevivalForgotten)
	for _, id := range []string{"", "x", "0.x", "0.x.y", "-1.x.y", "99999.x.y", answer.ID + "0"} {
		p.retries(kefu.Owed{ID: id}, kefu.RevivalUnknown)
	}
	if n := p.backlog().Lanes; n != 0 {
		t.Errorf("%d lanes", n)
	}

	c := newChat(t, b)
	c.post("u9", "x")
	lanes, err := c.s.Lease(t.Context(), kefu.LeaseRequest{Partition: c.s.Partition(c.id), At: c.at(), For: time.Minute, Max: 1})
	if err != nil || len(lanes) != 1 {
		t.Fatalf("lease: %v, %v", lanes, err)
	}
	if err := c.s.Finish(t.Context(), lanes[0], kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "bad_openid", Code: 40003}); err != nil {
		t.Fatalf("finish: %v", err)
	}
	q := newPerson(t, c.s, "")
	line := q.owedOf(kefu.OwedBuried)[0]
	same(t, "kind", line.Kind, "line")
	q.retries(line, kefu.RevivalOfLine)
}

// However many ask at once, it is owed once.
func testRetryOnce(t *testing.T, b backend) {
	p := clocked(t, b)
	p.served("wang", 1)
	p.say("wang", "a")
	p.buries("unauthorized", 48001)
	o := p.owedOf(kefu.OwedBuried)[0]
	revived := together(func(int) bool {
		got, err := p.s.Retry(t.Context(), o.ID)
		if err != nil || got.Outcome != kefu.Revived && got.Outcome != kefu.RevivedBefore {
			t.Errorf("retry: %+v, %v", got, err)
		}
		return got.Outcome == kefu.Revived
	})
	n := 0
	for _, yes := range revived {
		if yes {
			n++
		}
	}
	same(t, "put back", n, 1)
	p.finish(p.one(), sent(kefu.LedgerSpent))
	if more := p.lease(time.Minute); len(more) != 0 {
		t.Errorf("owed twice: %+v", more)
	}
}
