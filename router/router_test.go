package router

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// stage is a router before a scripted store: each field says what the next call
// of that kind answers, and calls keeps what was asked.
type stage struct {
	mu       sync.Mutex
	calls    []string
	received func(kefu.Receipt) (kefu.Received, error)
	lookups  []kefu.Received
	seat     func(kefu.SeatRequest) kefu.Seat
	settle   []kefu.Settled // empty = applied
	settled  []kefu.Settlement
	released []kefu.Seat
	err      map[string]error
	givenUp  []kefu.SeatRequest
	noted    []kefu.Load
	roster   *kefu.Roster

	conversations []kefu.Conversation // one after the other, the last again and again
}

func (s *stage) call(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	return s.err[name]
}

func (s *stage) Receive(_ context.Context, r kefu.Receipt) (kefu.Received, error) {
	if err := s.call("receive"); err != nil {
		return kefu.Received{}, err
	}
	return s.received(r)
}

func (s *stage) Lookup(context.Context, kefu.CustomerID, kefu.MessageKey) (kefu.Received, error) {
	if err := s.call("lookup"); err != nil {
		return kefu.Received{}, err
	}
	if len(s.lookups) == 0 {
		return kefu.Received{Repeat: true}, nil
	}
	next := s.lookups[0]
	s.lookups = s.lookups[1:]
	return next, nil
}

func (s *stage) Seat(_ context.Context, r kefu.SeatRequest) (kefu.Seat, error) {
	if err := s.call("seat"); err != nil {
		return kefu.Seat{}, err
	}
	if s.seat != nil {
		return s.seat(r), nil
	}
	if len(r.Candidates) == 0 {
		return kefu.Seat{Position: 1}, nil
	}
	first := r.Candidates[0].Agent
	return kefu.Seat{Agent: first, Token: "t-" + string(first), Loads: []kefu.Load{{Agent: first, Seats: 1}}}, nil
}

func (s *stage) Conversation(context.Context, kefu.CustomerID, time.Time) (kefu.Conversation, error) {
	if err := s.call("conversation"); err != nil {
		return kefu.Conversation{}, err
	}
	if len(s.conversations) == 0 {
		return kefu.Conversation{}, nil
	}
	c := s.conversations[0]
	if len(s.conversations) > 1 {
		s.conversations = s.conversations[1:]
	}
	return c, nil
}

func (s *stage) Settle(_ context.Context, st kefu.Settlement) (kefu.Settled, error) {
	if err := s.call("settle"); err != nil {
		return kefu.Settled{}, err
	}
	s.settled = append(s.settled, st)
	if len(s.settle) == 0 {
		return kefu.Settled{Applied: true}, nil
	}
	next := s.settle[0]
	s.settle = s.settle[1:]
	return next, nil
}

func (s *stage) Release(_ context.Context, _ kefu.CustomerID, seat kefu.Seat) error {
	s.released = append(s.released, seat)
	return s.call("release")
}

func (s *stage) GiveUp(r kefu.SeatRequest) { s.givenUp = append(s.givenUp, r) }

func (s *stage) Roster(time.Time) *kefu.Roster  { return s.roster }
func (s *stage) Load(id kefu.AgentID) kefu.Load { return kefu.Load{Agent: id} }
func (s *stage) Note(loads []kefu.Load)         { s.noted = append(s.noted, loads...) }
func fresh(c kefu.Conversation) func(kefu.Receipt) (kefu.Received, error) {
	return func(r kefu.Receipt) (kefu.Received, error) {
		if c.Entry == "" {
			c.Entry = r.Default
		}
		return kefu.Received{Conversation: c, First: r.At}, nil
	}
}

// open sets a stage: agents wang and li at the desk of shop, those of present online.
func open(t *testing.T, present ...kefu.AgentID) (*stage, *Router) {
	t.Helper()
	notices, err := kefu.NewNotices(map[kefu.NoticeKind]string{
		kefu.NoticeGreeting: "{{.Agent}}", kefu.NoticeWaiting: "w", kefu.NoticeReassigned: "r",
	})
	if err != nil {
		t.Fatal(err)
	}
	app := kefu.App{
		ID: "shop", Default: "cs1", NamesAgents: true, Idle: time.Minute, Notices: notices,
		Allowance: kefu.Allowance{AfterEnterWindow: time.Minute},
		Entries:   []kefu.Entry{{Tag: "cs1", Sticky: time.Hour, Steps: []kefu.Step{single("wang"), single("li")}}, {Tag: "cs2", Sticky: 2 * time.Hour}},
	}
	agents := []kefu.Agent{{ID: "wang", Desk: kefu.Desk{App: "shop"}}, {ID: "li", Desk: kefu.Desk{App: "shop"}}}
	table, err := kefu.NewTable([]kefu.App{app, {ID: "board", Switchboard: true}}, agents)
	if err != nil {
		t.Fatal(err)
	}
	standings := map[kefu.AgentID]kefu.Standing{
		"wang": {Presence: kefu.PresenceOffline}, "li": {Presence: kefu.PresenceOffline},
	}
	for _, id := range present {
		standings[id] = kefu.Standing{Presence: kefu.PresenceOnline, Account: string(id) + "@gh"}
	}
	s := &stage{
		received: fresh(kefu.Conversation{}), err: map[string]error{},
		roster: kefu.NewRoster(1, map[kefu.AppID]map[kefu.AgentID]kefu.Standing{"shop": standings}),
	}
	return s, New(Options{
		Store: s, Seats: s, Board: s, Table: func() *kefu.Table { return table },
		Budget: time.Second, Now: func() time.Time { return noon },
	})
}

func text(key kefu.MessageKey) *kefu.Message {
	return &kefu.Message{Customer: kefu.CustomerID{App: "shop", User: "o1"}, Key: key, Kind: kefu.KindText}
}

func enter(tag string) *kefu.Message {
	return &kefu.Message{Customer: kefu.CustomerID{App: "shop", User: "o1"}, Key: "e1", Kind: kefu.KindEnter, Tag: tag}
}

func named(id kefu.AgentID) kefu.Answer {
	return kefu.Answer{Way: kefu.WayNamed, Agent: id, Account: string(id) + "@gh"}
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		present []kefu.AgentID
		prepare func(*stage)
		message *kefu.Message
		want    kefu.Decision
		calls   string
	}{
		{
			name: "a new customer", present: []kefu.AgentID{"wang"}, message: text("1"),
			want:  kefu.Decision{Answer: named("wang"), At: noon, Entry: "cs1", Agent: "wang", Step: 1, Reason: kefu.ReasonStep},
			calls: "receive seat settle",
		},
		{
			name: "a customer whose agent is there", message: text("1"),
			prepare: func(s *stage) {
				s.received = func(kefu.Receipt) (kefu.Received, error) {
					return kefu.Received{Conversation: kefu.Conversation{Entry: "cs1", Serving: "li"}, Kept: true, Answer: named("li")}, nil
				}
			},
			want:  kefu.Decision{Answer: named("li"), At: noon, Entry: "cs1", Agent: "li", Reason: kefu.ReasonKept},
			calls: "receive",
		},
		{
			name: "nobody there", message: text("1"),
			want:  kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: noon, Entry: "cs1", Reason: kefu.ReasonPool},
			calls: "receive seat settle",
		},
		{
			name: "entering", present: []kefu.AgentID{"li"}, message: enter("cs1"),
			want:  kefu.Decision{Answer: kefu.Answer{Way: kefu.WaySuccess, Agent: "li"}, At: noon, Entry: "cs1", Agent: "li", Step: 2, Reason: kefu.ReasonStep},
			calls: "receive seat settle",
		},
		{
			name: "another event", message: &kefu.Message{Customer: kefu.CustomerID{App: "shop", User: "o1"}, Kind: kefu.KindEvent},
			want: kefu.Decision{Answer: kefu.Answer{Way: kefu.WaySuccess}, At: noon, Reason: kefu.ReasonIgnored},
		},
		{
			name:    "a message to an account without entries",
			message: &kefu.Message{Customer: kefu.CustomerID{App: "board", User: "o1"}, Kind: kefu.KindText},
			want:    kefu.Decision{Answer: kefu.Answer{Way: kefu.WayPlain}, At: noon, Reason: kefu.ReasonPool},
		},
		{
			name: "a repeat", message: text("1"),
			prepare: func(s *stage) {
				s.received = func(kefu.Receipt) (kefu.Received, error) {
					return kefu.Received{Repeat: true, First: noon.Add(-time.Second), Answer: named("li")}, nil
				}
			},
			want:  kefu.Decision{Answer: named("li"), At: noon.Add(-time.Second), Agent: "li", Reason: kefu.ReasonRepeat, Repeat: true},
			calls: "receive",
		},
		{
			name: "another push was first and its agent can be reached", present: []kefu.AgentID{"wang", "li"}, message: text("1"),
			prepare: func(s *stage) {
				s.settle = []kefu.Settled{{Now: kefu.Conversation{Entry: "cs1", Serving: "li", Owner: "li", Live: true, Version: 7}}, {Applied: true}}
			},
			want:  kefu.Decision{Answer: named("li"), At: noon, Entry: "cs1", Agent: "li", Reason: kefu.ReasonKept},
			calls: "receive seat settle release settle",
		},
		{
			name: "another try of the same push was first", present: []kefu.AgentID{"wang"}, message: text("1"),
			prepare: func(s *stage) { s.settle = []kefu.Settled{{Answer: named("wang")}} },
			want:    kefu.Decision{Answer: named("wang"), At: noon, Entry: "cs1", Agent: "wang", Reason: kefu.ReasonRepeat, Repeat: true},
			calls:   "receive seat settle",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t, tt.present...)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			if diff := cmp.Diff(tt.want, r.Route(t.Context(), tt.message)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.calls, strings.Join(s.calls, " ")); diff != "" {
				t.Errorf("round trips (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	s, r := open(t, "li")
	var got kefu.Receipt
	s.received = func(rec kefu.Receipt) (kefu.Received, error) {
		got = rec
		return kefu.Received{Kept: true, Answer: kefu.Answer{Way: kefu.WaySuccess}}, nil
	}
	m := enter("cs2")
	r.Route(t.Context(), m)
	want := kefu.Receipt{
		Customer: m.Customer, Key: "e1", Enter: true, At: noon,
		Ask: kefu.Ask{Entry: "cs2"}, AskSticky: 2 * time.Hour, Default: "cs1", DefaultSticky: time.Hour,
		Reach: " li=Nli@gh ", Idle: time.Minute, Allowance: kefu.Allowance{AfterEnterWindow: time.Minute},
		Greeting: &kefu.Delivery{To: m.Customer, Notice: kefu.NoticeGreeting, At: noon, Expires: noon.Add(time.Minute)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	live := kefu.Conversation{Entry: "cs1", Live: true, Serving: "wang", Owner: "wang"}
	tests := []struct {
		name    string
		present []kefu.AgentID
		before  kefu.Conversation
		change  func(*kefu.Roster)
		message *kefu.Message
		want    []string
	}{
		{"entering with an agent", []kefu.AgentID{"wang"}, kefu.Conversation{}, nil, enter(""), []string{"greeting by wang"}},
		{"entering with nobody", nil, kefu.Conversation{}, nil, enter(""), []string{"greeting by "}},
		{"the first message", []kefu.AgentID{"wang"}, kefu.Conversation{}, nil, text("1"), nil},
		{"another agent takes over", []kefu.AgentID{"li"}, live, nil, text("1"), []string{"reassigned by li once"}},
		{"nobody", nil, kefu.Conversation{}, nil, text("1"), []string{"waiting by  at 1 once"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t, tt.present...)
			s.received = fresh(tt.before)
			r.Route(t.Context(), tt.message)
			var got []string
			for _, d := range s.settled[0].Deliveries {
				line := string(d.Notice) + " by " + string(d.Agent)
				if d.Position > 0 {
					line += " at 1"
				}
				if d.Once {
					line += " once"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Where it is not known who is there, nobody is told to wait: somebody free may
// sit at WeChat's desk.
func TestNoWaitingNoticeOutOfIgnorance(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	s.roster = nil
	if d := r.Route(t.Context(), text("1")); d.Reason != kefu.ReasonPool {
		t.Fatalf("reason = %s, want pool", d.Reason)
	}
	if got := s.settled[0].Deliveries; len(got) != 0 {
		t.Errorf("owed %v, want nothing", got)
	}
}

// An agent of whom nothing is known for a while still has as long for his answers
// as before: a customer who writes to him after that is moved on if he does not.
func TestIgnoranceChangesNoAnswerTimeout(t *testing.T) {
	t.Parallel()
	s, r := open(t)
	r.table().Apps[0].Entries[0].AnswerTimeout = 2 * time.Minute
	s.roster = nil
	s.received = func(kefu.Receipt) (kefu.Received, error) {
		return kefu.Received{Conversation: served("wang")}, nil
	}
	r.Route(t.Context(), text("1"))
	if got := s.settled[0]; got.Agent != "wang" || got.AnswerWithin != 2*time.Minute {
		t.Errorf("settled %+v, want wang's conversation with 2 minutes for an answer", got)
	}
}

// While the list of who is online is too old to say anything, a conversation and
// its seat stay the agent's whom nobody knows anything of, and the desk gets the
// message. Who is known to have gone loses it.
func TestIgnoranceTakesNoConversationAway(t *testing.T) {
	t.Parallel()
	for _, kind := range []*kefu.Message{text("1"), enter("")} {
		s, r := open(t)
		s.roster = nil
		s.received = func(kefu.Receipt) (kefu.Received, error) {
			return kefu.Received{Conversation: kefu.Conversation{
				Entry: "cs1", Serving: "wang", Holds: "wang", Owner: "wang", Live: true, Version: 3,
			}}, nil
		}
		d := r.Route(t.Context(), kind)
		if d.Answer != fallback(kind) || d.Agent != "" || d.Degraded {
			t.Errorf("decided %+v, want the fallback and nobody", d)
		}
		if got := strings.Join(s.calls, " "); got != "receive settle" {
			t.Errorf("asked the store for %s, want no seat given up", got)
		}
		if got := s.settled[0]; got.Agent != "wang" || got.Owner != "wang" || got.Answer != fallback(kind) || got.Version != 3 {
			t.Errorf("settled %+v, want the conversation where it was", got)
		}
	}
}

func candidates(requests []kefu.SeatRequest) [][]kefu.SeatCandidate {
	var out [][]kefu.SeatCandidate
	for _, r := range requests {
		out = append(out, r.Candidates)
	}
	return out
}

func TestFailOpen(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection refused")
	late := context.DeadlineExceeded
	tests := []struct {
		name    string
		prepare func(*stage)
		cause   kefu.Cause
	}{
		{"receive", func(s *stage) { s.err["receive"] = broken }, kefu.CauseStore},
		{"seat", func(s *stage) { s.err["seat"] = broken }, kefu.CauseStore},
		{"settle", func(s *stage) { s.err["settle"] = broken }, kefu.CauseStore},
		{"late", func(s *stage) { s.err["receive"] = late }, kefu.CauseBudget},
		{"panic", func(s *stage) { s.received = nil }, kefu.CausePanic},
		{"contest without end", func(s *stage) { s.settle = make([]kefu.Settled, 100) }, kefu.CauseContest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t, "wang", "li")
			tt.prepare(s)
			d := r.Route(t.Context(), text("1"))
			wantGivenUp := map[string]int{"seat": 2, "settle": 1}[tt.name] // who may have been taken
			if got := len(slices.Concat(candidates(s.givenUp)...)); got != wantGivenUp {
				t.Errorf("seats of %d agents given up, want %d", got, wantGivenUp)
			}
			if d.Answer.Way != kefu.WayPlain || !d.Degraded || d.Cause != tt.cause || d.Err == nil {
				t.Errorf("message: %+v, want a plain transfer degraded by %s", d, tt.cause)
			}
			// What was answered stays answered, though the store is well again.
			s.err, s.settle = map[string]error{}, nil
			s.received = fresh(kefu.Conversation{})
			again := r.Route(t.Context(), text("1"))
			if again.Answer != d.Answer || !again.Repeat || again.At != d.At {
				t.Errorf("repeat: %+v, want the answer of %+v", again, d)
			}
			if other := r.Route(t.Context(), text("2")); other.Answer != named("wang") {
				t.Errorf("the next message: %+v, want wang", other)
			}
		})
		t.Run(tt.name+" at an event", func(t *testing.T) {
			t.Parallel()
			s, r := open(t, "wang")
			tt.prepare(s)
			if d := r.Route(t.Context(), enter("")); d.Answer.Way != kefu.WaySuccess || !d.Degraded {
				t.Errorf("%+v, want success, degraded", d)
			}
		})
	}
}

// What was answered well is answered the same while the store is down.
func TestRepeatWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	s, r := open(t, "wang")
	first := r.Route(t.Context(), text("1"))
	s.err["receive"] = errors.New("connection refused")
	again := r.Route(t.Context(), text("1"))
	if again.Answer != first.Answer || again.At != first.At || !again.Repeat || !again.Degraded {
		t.Errorf("%+v, want the answer of %+v again, degraded", again, first)
	}
	if d := r.Route(t.Context(), text("2")); d.Answer != (kefu.Answer{Way: kefu.WayPlain}) || d.Repeat {
		t.Errorf("another message: %+v, want a plain transfer", d)
	}
	s.err = map[string]error{}
	s.received = func(kefu.Receipt) (kefu.Received, error) {
		return kefu.Received{Repeat: true, First: first.At, Answer: first.Answer}, nil
	}
	if back := r.Route(t.Context(), text("1")); back.Answer != first.Answer || back.Degraded {
		t.Errorf("%+v, want the answer of %+v from the store", back, first)
	}
}

func TestRepeatInWork(t *testing.T) {
	t.Parallel()
	inWork := func(age time.Duration) func(kefu.Receipt) (kefu.Received, error) {
		return func(r kefu.Receipt) (kefu.Received, error) {
			return kefu.Received{Repeat: true, First: r.At.Add(-age)}, nil
		}
	}
	t.Run("waits for the first", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t)
			r.now = time.Now
			s.received = inWork(0)
			s.lookups = []kefu.Received{{Repeat: true}, {Repeat: true}, {Repeat: true, Answer: named("li")}}
			d := r.Route(t.Context(), text("1"))
			if d.Answer != named("li") || !d.Repeat {
				t.Errorf("%+v, want li by repeat", d)
			}
		})
	})
	t.Run("the first of an enter event never ended", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t, "wang")
			r.now = time.Now
			s.received = inWork(0)
			s.conversations = []kefu.Conversation{{Entry: "cs1", Version: 7}}
			d := r.Route(t.Context(), enter("cs1"))
			if d.Agent != "wang" || d.Degraded || d.Answer.Way != kefu.WaySuccess {
				t.Errorf("%+v, want it to be taken over, for wang", d)
			}
			if len(s.settled) != 1 || s.settled[0].Version != 7 || len(s.settled[0].Deliveries) != 1 {
				t.Errorf("settled %+v, want it once, with a greeting", s.settled)
			}
		})
	})
	t.Run("the first of an enter event ends meanwhile", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t, "wang")
			r.now = time.Now
			s.received = inWork(time.Minute)
			s.settle = []kefu.Settled{{Answer: kefu.Answer{Way: kefu.WaySuccess, Agent: "li"}}}
			if d := r.Route(t.Context(), enter("cs1")); d.Agent != "li" || !d.Repeat {
				t.Errorf("%+v, want li by repeat", d)
			}
		})
	})
	t.Run("the first never ended", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, r := open(t)
			r.now = time.Now
			s.received = inWork(0)
			start := time.Now()
			d := r.Route(t.Context(), text("1"))
			if d.Answer != (kefu.Answer{Way: kefu.WayPlain}) || !d.Repeat {
				t.Errorf("%+v, want a plain transfer by repeat", d)
			}
			if took := time.Since(start); took < r.budget || took > r.budget+time.Second/2 {
				t.Errorf("took %v, want a little over the budget of %v", took, r.budget)
			}
		})
	})
	t.Run("the first ended long ago", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.received = inWork(5 * time.Second)
		if d := r.Route(t.Context(), text("1")); d.Answer != (kefu.Answer{Way: kefu.WayPlain}) {
			t.Errorf("%+v, want a plain transfer", d)
		}
		if slices.Contains(s.calls, "lookup") {
			t.Error("waited for a push that was over")
		}
	})
	t.Run("no time to wait", func(t *testing.T) {
		t.Parallel()
		s, r := open(t)
		s.received = inWork(0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d := r.Route(ctx, text("1")); d.Answer.Way != kefu.WayPlain || d.Cause != kefu.CauseBudget {
			t.Errorf("%+v, want a plain transfer for want of time", d)
		}
	})
}

// A seat taken in vain is given back, but never the one the customer is served on.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		settled kefu.Settled
		want    int
	}{
		{"another agent serves", kefu.Settled{Now: kefu.Conversation{Entry: "cs1", Serving: "li", Live: true}}, 1},
		{"the same agent serves", kefu.Settled{Now: kefu.Conversation{Entry: "cs1", Serving: "wang", Live: true}}, 0},
		{"the same push went elsewhere", kefu.Settled{Answer: named("li")}, 1},
		{"the same push went to the same agent", kefu.Settled{Answer: named("wang")}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := open(t, "wang", "li")
			s.settle = []kefu.Settled{tt.settled, {Applied: true}}
			r.Route(t.Context(), text("1"))
			if len(s.released) != tt.want {
				t.Errorf("released %v, want %d seats", s.released, tt.want)
			}
		})
	}
}

// What is remembered after somebody looked is found as well, and so is what stands in the
// generation before.
func TestMemoryFindsWhatCameSince(t *testing.T) {
	t.Parallel()
	m := memory{seed: maphash.MakeSeed()}
	key := func(i int) *kefu.Message { return text(kefu.MessageKey(strconv.Itoa(i))) }
	answers := []kefu.Answer{{Way: kefu.WayPlain}, named("wang"), named("li")}
	for i := range 2*memorySize + 100 { // the first generation begins anew
		m.remember(key(i), &kefu.Decision{At: noon, Answer: answers[i%3], Degraded: i%2 == 0})
		if i%1000 != 0 && i%memorySize > 10 {
			continue
		}
		for _, n := range []int{i, i - i%memorySize/2, max(i-memorySize, 0), i + 1} {
			d, ok := m.recall(key(n), noon)
			if ok != (n <= i) || ok && (d.Answer != answers[n%3] || !d.Repeat) {
				t.Fatalf("after %d: %d is %+v, %t", i, n, d, ok)
			}
			if _, degraded := m.recallDegraded(key(n), noon); degraded != (ok && n%2 == 0) {
				t.Fatalf("after %d: %d was degraded: %t", i, n, degraded)
			}
		}
	}
	for n := range 50 {
		if d, ok := m.recall(key(n), noon); ok {
			t.Fatalf("%d, which is forgotten, is %+v", n, d)
		}
	}
	last := 2*memorySize + 7
	m.remember(key(last), &kefu.Decision{At: noon, Answer: answers[2]})
	if d, ok := m.recall(key(last), noon); !ok || d.Answer != answers[2] {
		t.Errorf("remembered again it is %+v, %t", d, ok)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := memory{seed: maphash.MakeSeed()}
	for i := range 3 * memorySize {
		m.remember(text(kefu.MessageKey(strconv.Itoa(i))), &kefu.Decision{At: noon})
	}
	if n := len(m.now.pushes) + len(m.old.pushes); n > 2*memorySize || n < memorySize {
		t.Errorf("holds %d, want at most %d", n, 2*memorySize)
	}
	last := text(kefu.MessageKey(strconv.Itoa(3*memorySize - 1)))
	if _, ok := m.recall(last, noon.Add(memoryTime)); !ok {
		t.Error("has forgotten the last answer")
	}
	if _, ok := m.recallDegraded(last, noon); ok {
		t.Error("takes an answer of the store for one of its own")
	}
	if _, ok := m.recall(last, noon.Add(2*memoryTime)); ok {
		t.Error("remembers longer than it should")
	}
}
