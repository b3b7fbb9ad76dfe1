package store_test

import (
	"cmp"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kefud/kefu"
	"kefud/store"
)

// The model's times are whole multiples of modelTick, and seats never fall free
// at one, so that no comparison hangs on a fraction of a millisecond.
const (
	modelTick = 10 * time.Millisecond
	modelIdle = 30*time.Minute + 7*time.Millisecond
)

// model is what package store promises, said again in plain Go for one thread.
type model struct {
	customers map[string]*modelCustomer
	seats     map[kefu.AgentID]map[string]modelSeat
	capacity  map[kefu.AgentID]int
	lastNew   map[kefu.AgentID]time.Time
	refreshes []modelRefresh
}

type (
	modelOwner struct {
		agent    kefu.AgentID
		borrowed int
		contact  time.Time
	}
	modelCustomer struct {
		known, tagged        bool
		entry, servingEntry  kefu.EntryTag
		sticky               time.Duration
		entered, last, asked time.Time
		ask                  kefu.Ask
		owners               map[kefu.EntryTag]modelOwner
		serving              kefu.AgentID
		standing             bool
		version, turn        int64
		pushes               map[kefu.MessageKey]kefu.Received
	}
	modelSeat struct {
		token string
		until time.Time
		prior *modelSeat
	}
	modelRefresh struct {
		user    string
		agent   kefu.AgentID
		at      time.Time
		version int64
	}
)

func newModel() *model {
	return &model{
		customers: map[string]*modelCustomer{}, seats: map[kefu.AgentID]map[string]modelSeat{},
		capacity: map[kefu.AgentID]int{}, lastNew: map[kefu.AgentID]time.Time{},
	}
}

func (m *model) customer(user string) *modelCustomer {
	if m.customers[user] == nil {
		m.customers[user] = &modelCustomer{owners: map[kefu.EntryTag]modelOwner{}, pushes: map[kefu.MessageKey]kefu.Received{}}
	}
	return m.customers[user]
}

func (c *modelCustomer) view(now time.Time, holds kefu.AgentID) kefu.Conversation {
	v := kefu.Conversation{
		Entry: c.entry, Ask: c.ask, Serving: c.serving, Holds: holds, Entered: c.entered, Version: c.version,
		Live: c.known && now.Sub(c.last) <= modelIdle && c.servingEntry == c.entry,
	}
	v.Standing = v.Live && c.standing
	if holds != "" {
		v.Held = c.asked
	}
	if o := c.owners[c.entry]; o.agent != "" && c.sticky > 0 && now.Sub(c.last) <= c.sticky {
		v.Owner, v.Borrowed = o.agent, o.borrowed
	}
	return v
}

func (m *model) receive(r kefu.Receipt) kefu.Received {
	c := m.customer(r.Customer.User)
	if p, ok := c.pushes[r.Key]; ok {
		return p
	}
	over := !c.known || r.At.Sub(c.last) > modelIdle
	holds, group, was, contact := c.serving, c.ask.Group, c.entry, c.last
	switch {
	case r.Ask.Entry != "":
		c.entry, c.sticky, c.tagged, c.ask = r.Ask.Entry, r.AskSticky, true, r.Ask
	case (over || r.Enter) && (!c.tagged || c.sticky == 0 || r.At.Sub(c.last) > c.sticky):
		c.entry, c.sticky, c.tagged, c.ask = r.Default, r.DefaultSticky, false, kefu.Ask{}
	}
	if c.ask.Agent == "" && c.ask.Group == "" {
		c.ask = kefu.Ask{}
	}
	if was != c.entry {
		o := c.owners[was]
		o.contact = c.last
		c.owners[was] = o
		contact = c.owners[c.entry].contact
	}
	if r.At.Sub(contact) > c.sticky || c.sticky == 0 {
		c.owners[c.entry] = modelOwner{}
	}
	if over {
		c.serving, c.servingEntry, c.standing = "", "", false
	}
	if over || was != c.entry {
		c.entered = r.At
	}
	c.known, c.last = true, r.At
	c.turn++
	got := kefu.Received{First: r.At, Turn: c.turn}
	answer := r.Reach.Answer(c.serving)
	got.Kept = c.serving != "" && c.servingEntry == c.entry && answer.Decided() &&
		(r.Ask.Agent == "" || r.Ask.Agent == c.serving) && (r.Ask.Group == "" || r.Ask.Group == group)
	if got.Kept {
		got.Answer = answer
		if r.Enter {
			got.Answer = kefu.Answer{Way: kefu.WaySuccess, Agent: c.serving}
		}
		if r.At.Sub(c.asked).Milliseconds()*20 > modelIdle.Milliseconds() {
			c.asked = r.At
			m.refreshes = append(m.refreshes, modelRefresh{r.Customer.User, c.serving, r.At, c.version})
		}
	}
	got.Conversation = c.view(r.At, holds)
	c.pushes[r.Key] = kefu.Received{Repeat: true, First: r.At, Answer: got.Answer}
	return got
}

func (m *model) settle(st kefu.Settlement) kefu.Settled {
	c := m.customer(st.Customer.User)
	push := c.pushes[st.Key]
	if push.Answer.Decided() && !st.Replace {
		return kefu.Settled{Answer: push.Answer}
	}
	if c.version != st.Version {
		return kefu.Settled{Now: c.view(st.At, c.serving)}
	}
	standing := c.standing && c.servingEntry == st.Entry
	if st.Agent != "" {
		standing = st.Owner != "" && st.Owner != st.Agent
	}
	// Away from the present entry, when the customer was last there is what changes.
	o := modelOwner{agent: st.Owner, borrowed: st.Borrowed}
	if st.Entry != c.entry {
		o.contact = st.At
	}
	old := c.owners[st.Entry]
	if st.Entry == c.entry {
		old.contact = time.Time{}
	}
	// Nobody owning him where nobody did is no change there.
	owned := old != o
	if st.Entry != c.entry {
		owned = o.agent != "" || old.agent != ""
	}
	changed := c.serving != st.Agent || c.servingEntry != st.Entry || c.standing != standing || owned
	c.serving, c.servingEntry, c.standing, c.asked, c.owners[st.Entry] = st.Agent, st.Entry, standing, st.At, o
	if changed {
		c.version++
	}
	if st.Entry == c.entry {
		c.sticky = st.Sticky
	}
	push.Repeat, push.Answer = true, st.Answer
	c.pushes[st.Key] = push
	return kefu.Settled{Applied: true}
}

// drop forgets the seats that have fallen free.
func (m *model) drop(a kefu.AgentID, now time.Time) {
	for user, s := range m.seats[a] {
		if !s.until.After(now) {
			delete(m.seats[a], user)
		}
	}
}

func (m *model) load(a kefu.AgentID, now time.Time) kefu.Load {
	l := kefu.Load{Agent: a, LastNew: m.lastNew[a]}
	for _, s := range m.seats[a] {
		if s.until.After(now) {
			l.Seats++
		}
	}
	return l
}

func (m *model) put(a kefu.AgentID, user string, s modelSeat) {
	if m.seats[a] == nil {
		m.seats[a] = map[string]modelSeat{}
	}
	m.seats[a][user] = s
}

func freeAt(at time.Time) time.Time {
	return at.Add(store.SeatFor(modelIdle)).Truncate(time.Millisecond)
}

// seat takes the token that the store gave for the seat it should be.
func (m *model) seat(r kefu.SeatRequest, token string) kefu.Seat {
	var got kefu.Seat
	user := r.Customer.User
	for _, c := range r.Candidates {
		m.drop(c.Agent, r.At)
		prior, had := m.seats[c.Agent][user]
		if had || c.Capacity == 0 || len(m.seats[c.Agent]) < c.Capacity {
			taken := modelSeat{token: token, until: freeAt(r.At)}
			if had {
				taken.prior = &prior
			} else {
				m.lastNew[c.Agent] = r.At
			}
			m.put(c.Agent, user, taken)
			m.capacity[c.Agent] = c.Capacity
			got.Agent, got.Token = c.Agent, token
		}
		got.Loads = append(got.Loads, m.load(c.Agent, r.At))
		if got.Agent != "" {
			break
		}
	}
	if held, ok := m.seats[r.Holds][user]; ok && r.Holds != got.Agent && !held.until.After(freeAt(r.Held)) {
		delete(m.seats[r.Holds], user)
	}
	return got
}

func (m *model) release(user string, seat kefu.Seat) {
	s, ok := m.seats[seat.Agent][user]
	switch {
	case !ok || s.token != seat.Token:
	case s.prior != nil:
		m.seats[seat.Agent][user] = *s.prior
	default:
		delete(m.seats[seat.Agent], user)
	}
}

func (m *model) refresh() {
	for _, f := range m.refreshes {
		m.drop(f.agent, f.at)
		s, had := m.seats[f.agent][f.user]
		limit, known := m.capacity[f.agent]
		c := m.customer(f.user)
		switch {
		case had && s.until.Before(freeAt(f.at)), !had && known && (limit == 0 || len(m.seats[f.agent]) < limit):
			m.put(f.agent, f.user, modelSeat{token: "refreshed", until: freeAt(f.at)})
		case !had && c.serving == f.agent && c.version == f.version:
			c.serving = ""
			c.version++
		}
	}
	m.refreshes = nil
}

// The store does what the model does, whatever is asked of it in whatever order.
func testModel(t *testing.T, b backend) { walkModel(t, b, &atomic.Int64{}) }

// walkModel walks, and counts the calls.
func walkModel(t *testing.T, b backend, calls *atomic.Int64) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		w := &walk{T: rt, m: newModel(), calls: calls}
		o := b.options()
		o.Now = func() time.Time { return w.p.now }
		s, err := store.Open(t.Context(), o)
		if err != nil {
			rt.Fatalf("open store: %v", err)
		}
		s.Buckets(1)    // which is enough, and quickly walked
		defer s.Close() //nolint:errcheck // what is wrong with it has shown by then
		w.p = newPerson(t, s, "")
		rt.Repeat(map[string]func(*rapid.T){
			"time":    w.time,
			"receive": w.receive,
			"again":   w.again,
			"seat":    w.seat,
			"settle":  w.settle,
			"release": w.release,
			"refresh": w.refresh,
			"rest":    w.rest,
			"":        w.check,
		})
	})
}

// A walk is one random order of calls.
type walk struct {
	*rapid.T
	p     *person
	m     *model
	calls *atomic.Int64
	n     int
	work  []modelWork
	seats []modelTaking
}

type (
	modelWork struct {
		receipt kefu.Receipt
		c       kefu.Conversation
	}
	modelTaking struct {
		user string
		seat kefu.Seat
	}
)

var modelAgents = []kefu.AgentID{"wang", "li", "zhao"}

func (w *walk) tick() { w.p.later(modelTick) }

func (w *walk) time(t *rapid.T) {
	w.p.later(rapid.SampledFrom([]time.Duration{
		time.Second, 2 * time.Minute, 10 * time.Minute, modelIdle.Truncate(modelTick), modelIdle.Truncate(modelTick) + modelTick, 2 * time.Hour,
	}).Draw(t, "time"))
}

func (w *walk) receive(t *rapid.T) {
	w.tick()
	w.n++
	r := kefu.Receipt{
		Customer: kefu.CustomerID{App: "shop", User: rapid.SampledFrom([]string{"u1", "u2", "u3"}).Draw(t, "user")},
		Key:      kefu.MessageKey(fmt.Sprint(w.n)), At: w.p.now, Default: "cs1", DefaultSticky: time.Hour, Idle: modelIdle, Allowance: allowance,
		Enter: rapid.Bool().Draw(t, "enter"),
		Reach: rapid.SampledFrom([]kefu.Reach{everybody, everybody, reach("li"), ""}).Draw(t, "reach"),
	}
	if r.Enter && rapid.Bool().Draw(t, "tagged") {
		r.Ask = kefu.Ask{
			Entry: rapid.SampledFrom([]kefu.EntryTag{"cs1", "cs2"}).Draw(t, "entry"),
			Agent: rapid.SampledFrom([]kefu.AgentID{"", "", "wang"}).Draw(t, "agent"),
			Group: rapid.SampledFrom([]string{"", "", "presale"}).Draw(t, "group"),
		}
		r.AskSticky = rapid.SampledFrom([]time.Duration{0, time.Minute, 3 * time.Hour}).Draw(t, "sticky")
	}
	got := w.p.receive(r)
	same(w, "received", got, w.m.receive(r))
	w.work = append(w.work, modelWork{r, got.Conversation})
}

func (w *walk) pick(t *rapid.T) (modelWork, bool) {
	if len(w.work) == 0 {
		return modelWork{}, false
	}
	// Mostly one of the last, as it is in life.
	return w.work[len(w.work)-1-rapid.IntRange(0, min(3, len(w.work)-1)).Draw(t, "push")], true
}

func (w *walk) again(t *rapid.T) {
	x, ok := w.pick(t)
	if !ok {
		return
	}
	r := x.receipt
	same(w, "received again", w.p.receive(r), w.m.receive(r))
}

func (w *walk) seat(t *rapid.T) {
	x, ok := w.pick(t)
	if !ok {
		return
	}
	w.tick()
	r := kefu.SeatRequest{Customer: x.receipt.Customer, Entry: x.c.Entry, At: w.p.now, Idle: modelIdle, Holds: x.c.Holds, Held: x.c.Held}
	for _, a := range rapid.Permutation(modelAgents).Draw(t, "agents")[:rapid.IntRange(0, len(modelAgents)).Draw(t, "candidates")] {
		r.Candidates = append(r.Candidates, kefu.SeatCandidate{Agent: a, Capacity: modelCapacity(a)})
	}
	got, err := w.p.s.Seat(w.p.Context(), r)
	if err != nil {
		w.Fatalf("seat: %v", err)
	}
	got.Position = 0 // has a test of its own
	same(w, "seat", got, w.m.seat(r, got.Token))
	w.seats = append(w.seats, modelTaking{r.Customer.User, got})
}

func modelCapacity(a kefu.AgentID) int { return map[kefu.AgentID]int{"wang": 1, "li": 2}[a] }

func (w *walk) settle(t *rapid.T) {
	x, ok := w.pick(t)
	if !ok {
		return
	}
	w.tick()
	st := kefu.Settlement{
		Customer: x.receipt.Customer, Key: x.receipt.Key, At: w.p.now, Version: x.c.Version, Idle: modelIdle,
		Entry: x.c.Entry, Sticky: rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "sticky"),
		Agent:    rapid.SampledFrom(append([]kefu.AgentID{""}, modelAgents...)).Draw(t, "agent"),
		Owner:    rapid.SampledFrom(append([]kefu.AgentID{""}, modelAgents...)).Draw(t, "owner"),
		Borrowed: rapid.IntRange(0, 2).Draw(t, "borrowed"),
		Replace:  rapid.Bool().Draw(t, "replace"),
	}
	if st.Owner == "" {
		st.Borrowed = 0
	}
	st.Answer = cmp.Or(everybody.Answer(st.Agent), kefu.Answer{Way: kefu.WayPlain})
	got := w.p.settleWith(st)
	same(w, "settled", got, w.m.settle(st))
	if got.Now.Version > 0 { // lost a race: the next try knows better
		w.work = append(w.work, modelWork{x.receipt, got.Now})
	}
}

func (w *walk) release(t *rapid.T) {
	if len(w.seats) == 0 {
		return // no seat was taken
	}
	x := rapid.SampledFrom(w.seats).Draw(t, "taking")
	if err := w.p.s.Release(w.p.Context(), kefu.CustomerID{App: "shop", User: x.user}, x.seat); err != nil {
		w.Fatalf("release: %v", err)
	}
	w.m.release(x.user, x.seat)
}

func (w *walk) refresh(*rapid.T) {
	w.p.s.Refresh(w.p.Context())
	w.m.refresh()
}

// rest is not noticed by anybody: the model knows nothing of it. Whose time is over
// by the model's clock stays all the same, for it is Redis' that ends hashes.
func (w *walk) rest(*rapid.T) {
	if _, err := w.p.s.RestOnly(w.p.Context()); err != nil {
		w.Fatalf("rest: %v", err)
	}
}

// check holds after every call.
func (w *walk) check(*rapid.T) {
	w.calls.Add(1)
	loads, err := w.p.s.Loads(w.p.Context(), w.p.now, modelAgents)
	if err != nil {
		w.Fatalf("loads: %v", err)
	}
	for i, a := range modelAgents {
		same(w, "load", loads[i], w.m.load(a, w.p.now))
		if limit := modelCapacity(a); limit > 0 && loads[i].Seats > limit {
			w.Errorf("%s has %d customers, at most %d are allowed", a, loads[i].Seats, limit)
		}
	}
	for user, c := range w.m.customers {
		got, err := w.p.s.Conversation(w.p.Context(), kefu.CustomerID{App: "shop", User: user}, w.p.now)
		if err != nil {
			w.Fatalf("conversation: %v", err)
		}
		want := c.view(w.p.now, c.serving)
		want.Turns = c.turn
		same(w, "conversation", got, want)
	}
	if w.Failed() {
		w.Fatal("the store and the model differ after " + strings.TrimSpace(w.p.now.Format(time.TimeOnly)))
	}
}
