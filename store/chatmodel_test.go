package store_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kefud/kefu"
	"kefud/store"
)

// A chatModel is what package store promises of one agent's chat, said again in
// plain Go for one thread. Every posting has one line.
type chatModel struct {
	lane        []*modelLine
	flying      int       // lines of a lease that has not been ended
	due         time.Time // zero = not among the lanes
	left        int
	until, last time.Time // of the allowance; of the last message to him
	reserved    time.Time // until, when a message was last reserved
	told, held  bool

	open     map[string]*modelOpen // by customer
	given    int                   // the last label
	selected int
	lost     int // label taken from him
	dropped  map[*modelLine]time.Time
}

type (
	modelLine struct {
		id       string
		posting  kefu.Posting
		fresh    bool // the conversation got its label by it
		label    int
		attempts int
		doubt    bool
		gone     bool // withdrawn, or left

		withdrawn bool

		posted, drawn int // steps; 0 = not drawn
		arrived       int // how often
	}
	modelOpen struct {
		label int
		last  time.Time
	}
)

func (m *chatModel) isOpen(o *modelOpen, now time.Time) bool {
	return o != nil && now.Sub(o.last) <= modelIdle
}

func (m *chatModel) by(label int) *modelOpen {
	for _, o := range m.open {
		if o.label == label {
			return o
		}
	}
	return nil
}

// only is the label of the only conversation that is open; 0 for none or more.
func (m *chatModel) only(now time.Time) int {
	found := 0
	for _, o := range m.open {
		if m.isOpen(o, now) && found > 0 {
			return 0
		}
		if m.isOpen(o, now) {
			found = o.label
		}
	}
	return found
}

func (m *chatModel) post(l *modelLine, now time.Time) bool {
	if !now.Before(m.until) {
		return false
	}
	user := l.posting.Customer.User
	if m.open[user] == nil {
		m.given++
		m.open[user] = &modelOpen{label: m.given}
		l.fresh = true
	}
	m.open[user].last = now
	l.label = m.open[user].label
	if !m.isOpen(m.by(m.selected), now) && m.lost == 0 && m.only(now) == l.label {
		m.selected = l.label
	}
	at := len(m.lane)
	for i := len(m.lane) - 1; i >= m.flying; i-- {
		p := m.lane[i].posting
		if p.Customer.User == user && p.Turn < l.posting.Turn {
			break
		}
		if p.Customer.User == user {
			at = i
		}
	}
	if len(m.lane) == 0 && m.due.IsZero() {
		m.due = now
	}
	m.lane = slices.Insert(m.lane, at, l)
	return true
}

func (m *chatModel) draw(now time.Time) (kefu.DrawState, []*modelLine) {
	if !m.due.After(now) && m.flying > 0 {
		for _, l := range m.lane[:m.flying] {
			l.doubt = true
		}
		m.lane = slices.DeleteFunc(m.lane, func(l *modelLine) bool {
			if l.gone {
				m.drop(l, now)
			}
			return l.gone
		})
		m.flying = 0
	}
	if len(m.lane) == 0 {
		m.due = time.Time{}
		return kefu.DrawEmpty, nil
	}
	if m.due.After(now) && m.held {
		return kefu.DrawHeld, nil
	}
	if m.due.After(now) {
		return kefu.DrawWait, nil
	}
	left := m.left
	if !m.until.After(now) {
		left = 0
	}
	if left == 0 || (left == 1 && m.told) {
		m.due, m.held = now.Add(holdFor), true
		return kefu.DrawHeld, nil
	}
	if after := m.last.Add(joinFor); after.After(now) {
		m.due = after
		return kefu.DrawWait, nil
	}
	m.due, m.left, m.reserved, m.held = now.Add(time.Minute), left-1, m.until, false
	if left == 1 {
		m.told = true
		return kefu.DrawMine, nil
	}
	m.flying = len(m.lane)
	for i, l := range m.lane {
		if l.posting.Lines[0].Part {
			m.flying = max(i, 1)
			break
		}
	}
	return kefu.DrawMine, slices.Clone(m.lane[:m.flying])
}

func (m *chatModel) finish(w chatLease, v kefu.Verdict, now time.Time) {
	mine, since := m.due.Equal(w.lane.Lease), !m.reserved.Equal(m.until)
	if mine && !since && v.Ledger == kefu.LedgerEmpty {
		m.left = 0
	}
	if mine && !since && v.Ledger == kefu.LedgerRefund {
		m.left++
		m.told = m.told && !w.lane.Delivery.More
	}
	pop := v.Outcome == kefu.OutcomeSent
	for i, l := range slices.Backward(m.lane) {
		switch {
		case !slices.Contains(w.lines, l):
		case pop || (mine && l.gone):
			m.lane = slices.Delete(m.lane, i, i+1)
			if !pop {
				m.drop(l, now)
			}
			if i < m.flying {
				m.flying--
			}
		case mine && v.Outcome == kefu.OutcomeRetry:
			l.attempts++
			l.doubt = l.doubt || v.Doubt
		}
	}
	if !mine {
		return
	}
	m.flying = 0
	more := w.lane.Delivery.More && pop
	if pop && !more {
		m.last = now
	}
	switch {
	case len(m.lane) == 0:
		m.due = time.Time{}
	case !since && (more || (!pop && v.Ledger == kefu.LedgerEmpty)):
		m.due, m.held = now.Add(holdFor), true
	case pop:
		m.due = now
	default:
		m.due = v.Due
	}
}

// drop notes that a line was taken out.
func (m *chatModel) drop(l *modelLine, now time.Time) {
	m.dropped[l] = now
	maps.DeleteFunc(m.dropped, func(_ *modelLine, at time.Time) bool { return now.Sub(at) >= time.Minute })
}

func (m *chatModel) withdraw(l *modelLine, now time.Time) bool {
	user := l.posting.Customer.User
	at := slices.Index(m.lane, l)
	if at < 0 {
		_, dropped := m.dropped[l]
		return dropped
	}
	l.gone = true
	if at < m.flying {
		return true
	}
	m.lane = slices.Delete(m.lane, at, at+1)
	m.drop(l, now)
	others := slices.ContainsFunc(m.lane, func(x *modelLine) bool { return x.posting.Customer.User == user })
	if o := m.open[user]; l.fresh && !others && o != nil && o.label == l.label {
		delete(m.open, user)
		if m.selected == l.label {
			m.selected = 0
		}
		if l.doubt && m.selected == 0 && m.lost == 0 {
			m.lost = l.label
		}
	}
	return true
}

// hear gives the state and the label that is meant.
func (m *chatModel) hear(h kefu.Hearing) (kefu.SelectState, int) {
	if !h.Silent {
		m.left, m.until, m.told = h.Allowance.AfterMessage, h.At.Add(h.Allowance.AfterMessageWindow), false
		if m.held && !m.due.IsZero() {
			m.due = h.At
		}
		m.held = false
	}
	switch {
	case !h.Target:
		return kefu.SelectNone, 0
	case h.Label > 0 && m.by(h.Label) == nil:
		return kefu.SelectUnknown, 0
	case h.Label > 0:
		if h.Select {
			m.selected, m.lost = h.Label, 0
		}
		return kefu.SelectFound, h.Label
	case m.by(m.selected) != nil:
		return kefu.SelectFound, m.selected
	case m.lost > 0:
		m.selected, m.lost = m.only(h.At), 0
		return kefu.SelectLost, 0
	case len(m.open) > 0:
		return kefu.SelectMany, 0
	}
	return kefu.SelectNone, 0
}

func (m *chatModel) leave(user string, taken bool, now time.Time) kefu.Left {
	var got kefu.Left
	for i, l := range slices.Backward(m.lane) {
		switch {
		case l.posting.Customer.User != user:
		case i < m.flying:
			l.gone = true
		default:
			l.gone = true
			got.Dropped++
			m.lane = slices.Delete(m.lane, i, i+1)
			m.drop(l, now)
		}
	}
	o := m.open[user]
	if o == nil {
		return kefu.Left{}
	}
	delete(m.open, user)
	got.Label, got.WasHis = o.label, m.selected == o.label
	if got.WasHis {
		m.selected = 0
	}
	switch {
	case m.selected > 0 || m.lost > 0:
	case taken:
		m.lost = o.label
	default:
		m.selected = m.only(now)
		got.Only = m.selected
	}
	return got
}

// A chatLease is what a worker has been given.
type chatLease struct {
	lane    kefu.Lane
	lines   []*modelLine
	arrives bool
}

// A chatWalk is one random order of calls.
type chatWalk struct {
	*rapid.T
	c       *chat
	m       *chatModel
	calls   *atomic.Int64
	step    int
	lines   []*modelLine
	leases  []chatLease
	skipped []kefu.Posting
	arrived map[string]*modelLine // by customer: that of the latest turn
}

// The store does with an agent's chat what the model does, whatever is asked of
// it in whatever order.
func testChatModel(t *testing.T, b backend) { walkChatModel(t, b, &atomic.Int64{}) }

// walkChatModel walks, and counts the calls.
func walkChatModel(t *testing.T, b backend, calls *atomic.Int64) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		clock := &atomic.Int64{}
		o := b.options()
		o.Now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
		s, err := store.Open(t.Context(), o)
		if err != nil {
			rt.Fatalf("open store: %v", err)
		}
		defer s.Close() //nolint:errcheck // what is wrong with it has shown by then
		w := &chatWalk{T: rt, c: chatAt(t, s, "wang"), m: &chatModel{open: map[string]*modelOpen{}, dropped: map[*modelLine]time.Time{}}, arrived: map[string]*modelLine{}, calls: calls}
		w.c.clock = clock
		w.c.state(kefu.ChatOnline)
		rt.Repeat(map[string]func(*rapid.T){
			"time": w.time, "post": w.post, "post more": w.post, "again": w.again, "draw": w.draw, "draw more": w.draw, "finish": w.finish,
			"withdraw": w.withdraw, "hear": w.hear, "leave": w.leave, "": w.check,
		})
	})
}

func (w *chatWalk) time(t *rapid.T) {
	w.c.later(rapid.SampledFrom([]time.Duration{
		joinFor, joinFor, joinFor, joinFor, time.Second, time.Minute, time.Minute, time.Minute, modelIdle.Truncate(modelTick), holdFor,
		rapid.SampledFrom([]time.Duration{time.Second, 47 * time.Hour}).Draw(t, "long"),
	}).Draw(t, "time"))
}

// tick makes every call's instant one of its own.
func (w *chatWalk) tick() {
	w.c.later(modelTick)
	w.step++
}

func (w *chatWalk) post(t *rapid.T) {
	w.tick()
	user := rapid.SampledFrom([]string{"u1", "u2", "u3"}).Draw(t, "user")
	p := w.c.posting(user, kefu.Line{Words: words("x"), Part: rapid.IntRange(0, 3).Draw(t, "part") == 0})
	if rapid.IntRange(0, 2).Draw(t, "late") == 0 {
		w.skipped = append(w.skipped, p) // its turn comes to be posted later
		return
	}
	if len(w.skipped) > 0 && rapid.Bool().Draw(t, "skipped") {
		p, w.skipped = w.skipped[0], w.skipped[1:]
	}
	p.At, p.Idle = w.c.at(), modelIdle
	l := &modelLine{posting: p, posted: w.step}
	standing := w.m.isOpen(w.m.by(w.m.selected), p.At)
	selected := w.m.selected
	got := w.c.postWith(p)
	if !w.m.post(l, p.At) {
		same(w, "posted", got, kefu.Posted{State: kefu.PostRefused})
		return
	}
	same(w, "posted", got, kefu.Posted{Last: got.Last, Label: l.label})
	if standing && w.m.selected != selected {
		w.Errorf("a message moved the selection from %d to %d", selected, w.m.selected)
	}
	l.id = got.Last
	w.lines = append(w.lines, l)
}

// recent picks one of the last postings.
func (w *chatWalk) recent(t *rapid.T) *modelLine {
	if len(w.lines) == 0 {
		return nil
	}
	return w.lines[len(w.lines)-1-rapid.IntRange(0, min(5, len(w.lines)-1)).Draw(t, "posting")]
}

func (w *chatWalk) again(t *rapid.T) {
	l := w.recent(t)
	if l == nil {
		return
	}
	want := kefu.Posted{Last: l.id, Label: l.label}
	if l.withdrawn {
		want = kefu.Posted{State: kefu.PostWithdrawn}
	}
	same(w, "posted again", w.c.postWith(l.posting), want)
}

func (w *chatWalk) draw(t *rapid.T) {
	w.tick()
	state, lines := w.m.draw(w.c.at())
	if l := w.recent(t); l != nil && state != kefu.DrawMine {
		w.asks(l)
	}
	got := w.c.drawLine("")
	same(w, "drawn", got.State, state)
	if state != kefu.DrawMine || got.State != state {
		return
	}
	l := chatLease{lane: got.Lane, lines: lines, arrives: rapid.IntRange(0, 2).Draw(t, "arrives") > 0}
	if len(got.Lane.Delivery.Lines) != len(lines) || got.Lane.Delivery.More != (len(lines) == 0) {
		w.Fatalf("drawn %+v, want %d lines", got.Lane.Delivery, len(lines))
	}
	for i, line := range got.Lane.Delivery.Lines {
		want := lines[i]
		if line.ID != want.id || line.Doubt != want.doubt || line.Hint != (want.label != w.m.selected) || line.Label != want.label {
			w.Errorf("line %+v, want %+v, %d selected", line, want, w.m.selected)
		}
		w.sees(want, line.Doubt, l.arrives)
	}
	w.leases = append(w.leases, l)
}

// asks draws for a line when nothing may be sent.
func (w *chatWalk) asks(l *modelLine) {
	want := kefu.DrawDone
	if _, dropped := w.m.dropped[l]; dropped {
		want = kefu.DrawGone
	}
	if got := w.c.drawLine(l.id); !slices.Contains(w.m.lane, l) && got.State != want {
		w.Errorf("line %s, which is there no more, is drawn as %d, want %d", l.id, got.State, want)
	}
}

// sees checks a line that is sent, and may arrive.
func (w *chatWalk) sees(l *modelLine, doubt, arrives bool) {
	if l.drawn == 0 {
		l.drawn = w.step
	}
	if l.gone {
		w.Errorf("line %s is sent, which was taken back", l.id)
	}
	if !arrives {
		return
	}
	if l.arrived > 0 && !doubt {
		w.Errorf("line %s came twice, without doubt", l.id)
	}
	l.arrived++
	user := l.posting.Customer.User
	latest := w.arrived[user]
	switch {
	case latest == nil || latest.posting.Turn <= l.posting.Turn:
		w.arrived[user] = l
	case l.arrived == 1 && l.posted < latest.drawn:
		w.Errorf("line %s of turn %d came after turn %d", l.id, l.posting.Turn, latest.posting.Turn)
	}
}

func (w *chatWalk) finish(t *rapid.T) {
	if len(w.leases) == 0 {
		return
	}
	w.tick()
	// Mostly the last; never, for some.
	at := len(w.leases) - 1
	if rapid.IntRange(0, 3).Draw(t, "which") == 0 {
		at = rapid.IntRange(0, at).Draw(t, "late")
	}
	l := w.leases[at]
	w.leases = slices.Delete(w.leases, at, at+1)
	now := w.c.at()
	doubtful := kefu.Verdict{Outcome: kefu.OutcomeRetry, Doubt: true, Ledger: kefu.LedgerSpent, Due: now.Add(time.Second)}
	verdicts := []kefu.Verdict{
		doubtful, retry(now.Add(time.Second)), retry(now),
		{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerEmpty, Due: now.Add(time.Minute)},
		{Outcome: kefu.OutcomeRetry, Ledger: kefu.LedgerEmpty, Due: now},
	}
	if l.arrives {
		verdicts = []kefu.Verdict{sent(kefu.LedgerSpent), sent(kefu.LedgerSpent), sent(kefu.LedgerSpent), doubtful}
	}
	v := rapid.SampledFrom(verdicts).Draw(t, "verdict")
	w.m.finish(l, v, now)
	w.c.finish(l.lane, v)
}

func (w *chatWalk) withdraw(t *rapid.T) {
	l := w.recent(t)
	if l == nil {
		return
	}
	w.tick()
	want := w.m.withdraw(l, w.c.at())
	l.withdrawn = l.withdrawn || want
	w.c.withdraw(l.posting, l.id, want)
}

func (w *chatWalk) hear(t *rapid.T) {
	w.tick()
	h := w.c.hearing(func(h *kefu.Hearing) {
		h.Idle = modelIdle
		h.Silent = rapid.IntRange(0, 3).Draw(t, "silent") == 0
		h.Target = rapid.IntRange(0, 3).Draw(t, "target") > 0
		if h.Target && rapid.Bool().Draw(t, "labelled") {
			h.Label, h.Select = rapid.IntRange(1, w.m.given+1).Draw(t, "label"), rapid.Bool().Draw(t, "select")
		}
	})
	selected, lost := w.m.selected, w.m.lost
	state, label := w.m.hear(h)
	got := w.c.hearWith(h)
	same(w, "state", got.State, state)
	if state == kefu.SelectLost {
		same(w, "lost", got.Lost, lost)
		return
	}
	same(w, "target", got.Target.Label, label)
	if state == kefu.SelectFound && label != h.Label && label != selected {
		w.Errorf("%d is meant, which nobody selected", label)
	}
}

func (w *chatWalk) leave(t *rapid.T) {
	w.tick()
	user := rapid.SampledFrom([]string{"u1", "u2", "u3"}).Draw(t, "user")
	to := rapid.SampledFrom([]string{"", "li"}).Draw(t, "to")
	got, err := w.c.s.Leave(w.c.Context(), kefu.Leaving{Chat: w.c.id, Customer: of(user), At: w.c.at(), Idle: modelIdle, Taken: to != "", To: to})
	if err != nil {
		w.Fatalf("leave: %v", err)
	}
	same(w, "left", got, w.m.leave(user, to != "", w.c.at()))
}

// check holds after every call.
func (w *chatWalk) check(*rapid.T) {
	w.calls.Add(1)
	items, err := w.c.s.Client().LRange(w.c.Context(), w.c.s.ChatLaneKey(w.c.id), 0, -1).Result()
	if err != nil {
		w.Fatalf("read lane: %v", err)
	}
	var got, want []string
	owed := map[string]bool{}
	for _, item := range items {
		id, _, _ := strings.Cut(item, "\n")
		got = append(got, id)
		owed[id] = true
	}
	for _, l := range w.m.lane {
		want = append(want, l.id)
	}
	same(w, "lane", got, want)
	for _, l := range w.lines {
		if !owed[l.id] && l.arrived == 0 && !l.gone {
			w.Errorf("line %s is lost", l.id)
		}
	}
	f, err := w.c.s.Client().HMGet(w.c.Context(), w.c.s.ChatKey(w.c.id), "mn", "sel").Result()
	if err != nil {
		w.Fatalf("read chat: %v", err)
	}
	same(w, "messages left", f[0] == nil && w.m.left == 0 || f[0] == fmt.Sprint(w.m.left), true)
	sel, _ := f[1].(string)
	same(w, "selected", cmp.Or(sel, "0"), fmt.Sprint(w.m.selected))
	if w.Failed() {
		w.Fatal("the store and the model differ")
	}
}
