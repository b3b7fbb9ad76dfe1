package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

var (
	errDown = errors.New("connection refused")
	noon    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	window  = 48 * time.Hour

	wangChat = kefu.CustomerID{App: "board", User: "oAgentWang0123456789"}
	liChat   = kefu.CustomerID{App: "board", User: "oAgentLi0123456789"}
	stranger = kefu.CustomerID{App: "board", User: "oStranger0123456789"}
	ann      = kefu.CustomerID{App: "shop", User: "oCustomerAnn0123456789"}
	bob      = kefu.CustomerID{App: "shop", User: "oCustomerBob0123456789"}
)

// A stage is a store, a board and an outbox that say what a test has them say,
// and keep what they were asked.
type stage struct {
	mu    sync.Mutex
	calls []string
	err   map[string]error // by call
	chats map[kefu.AgentID]kefu.Chat
	now   func() time.Time
	log   journal

	post      func(kefu.Posting) kefu.Posted // nil = written
	posts     []kefu.Posting
	draws     []kefu.Drawn // one after the other, then the line is gone
	verdicts  []kefu.Verdict
	deliver   func(ctx context.Context) kefu.Verdict // nil = verdicts, one after the other, then all is sent
	delivered []kefu.Lane
	withdrawn []string // lines asked for
	kept      bool     // what is withdrawn the agent has already
	left      kefu.Left
	leavings  []kefu.Leaving
	opens     []kefu.Open

	heard    []kefu.Heard // one after the other, the last again and again
	hearings []kefu.Hearing
	replies  []kefu.Hearsay
	reply    func() (string, bool)
	state    kefu.ChatState
	until    time.Time

	ignorant bool        // of chats
	say      []kefu.Said // one after the other, then it is owed
	said     []kefu.Utterance
	closings []kefu.Closing
	sayings  []kefu.Saying
	marks    []kefu.Mark
	hurried  []string

	bound     kefu.Bound
	binding   func() // is called when somebody sends a code
	codes     []string
	invited   string // the code of an invitation
	whose     kefu.AgentID
	announced []kefu.Chat
	given     []bool

	overdue []kefu.Overdue
	moved   func(kefu.Move) (kefu.Moved, error)
	moves   []kefu.Move
	typed   chan kefu.CustomerID
}

// A journal is a log that several goroutines write.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// owe has customers overdue.
func (s *stage) owe(users ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, user := range users {
		s.overdue = append(s.overdue, kefu.Overdue{Customer: kefu.CustomerID{App: "shop", User: user}, Agent: "wang", Since: noon})
	}
}

func (s *stage) call(ctx context.Context, name string) error {
	s.calls = append(s.calls, name)
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.err[name]
}

// next takes the first of a list away and gives it; other, if the list is empty.
func next[T any](list *[]T, other T) T {
	if len(*list) == 0 {
		return other
	}
	first := (*list)[0]
	*list = (*list)[1:]
	return first
}

func (s *stage) Post(ctx context.Context, p kefu.Posting) (kefu.Posted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = append(s.posts, p)
	if err := s.call(ctx, "post"); err != nil {
		return kefu.Posted{}, err
	}
	if s.post != nil {
		return s.post(p), nil
	}
	return kefu.Posted{Last: "last", Label: 1}, nil
}

func (s *stage) Draw(ctx context.Context, d kefu.Draw) (kefu.Drawn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call(ctx, "draw"); err != nil {
		return kefu.Drawn{}, err
	}
	got := next(&s.draws, kefu.Drawn{State: kefu.DrawDone})
	if d.Line != "last" {
		return kefu.Drawn{}, fmt.Errorf("drawn for line %q", d.Line)
	}
	return got, nil
}

func (s *stage) Withdraw(ctx context.Context, _ kefu.Posting, line string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdrawn = append(s.withdrawn, line)
	return !s.kept, s.call(ctx, "withdraw")
}

func (s *stage) Leave(ctx context.Context, l kefu.Leaving) (kefu.Left, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leavings = append(s.leavings, l)
	return s.left, s.call(ctx, "leave")
}

func (s *stage) Opens(ctx context.Context, _ kefu.CustomerID, _ time.Time, _ time.Duration) ([]kefu.Open, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call(ctx, "opens"); err != nil {
		return nil, err
	}
	return s.opens, nil
}

func (s *stage) Hear(ctx context.Context, h kefu.Hearing) (kefu.Heard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hearings = append(s.hearings, h)
	if err := s.call(ctx, "hear"); err != nil {
		return kefu.Heard{}, err
	}
	got := s.heard[0]
	if len(s.heard) > 1 {
		s.heard = s.heard[1:]
	}
	if got.First.IsZero() {
		got.First = h.At
	}
	got.Chat.ID = h.Chat
	return got, nil
}

func (s *stage) HeardReply(ctx context.Context, _ kefu.CustomerID, _ kefu.MessageKey) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.call(ctx, "heard_reply")
	if s.reply == nil || err != nil {
		return "", false, err
	}
	text, done := s.reply()
	return text, done, nil
}

func (s *stage) Reply(ctx context.Context, h kefu.Hearsay) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies = append(s.replies, h)
	return s.call(ctx, "reply")
}

func (s *stage) SetState(ctx context.Context, chat kefu.CustomerID, state kefu.ChatState) (kefu.Chat, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call(ctx, "set_state"); err != nil {
		return kefu.Chat{}, err
	}
	s.state = state
	return kefu.Chat{ID: chat, State: state, Until: s.until}, nil
}

func (s *stage) Shut(ctx context.Context, _ kefu.CustomerID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.call(ctx, "shut")
}

func (s *stage) Say(ctx context.Context, u kefu.Utterance) (kefu.Said, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, u)
	if err := s.call(ctx, "say"); err != nil {
		return kefu.Said{}, err
	}
	return next(&s.say, kefu.Said{State: kefu.SaidOwed, Left: 4}), nil
}

func (s *stage) End(ctx context.Context, c kefu.Closing) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closings = append(s.closings, c)
	return true, s.call(ctx, "end")
}

func (s *stage) Sayings(ctx context.Context, _ kefu.CustomerID, _ int) ([]kefu.Saying, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call(ctx, "sayings"); err != nil {
		return nil, err
	}
	return append([]kefu.Saying(nil), s.sayings...), nil
}

func (s *stage) Mark(ctx context.Context, c kefu.CustomerID, m kefu.Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = append(s.marks, m)
	return s.call(ctx, "mark")
}

func (s *stage) Bind(ctx context.Context, _ kefu.CustomerID, code string, _, until time.Time) (kefu.Bound, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes, s.until = append(s.codes, code), until
	if s.binding != nil {
		s.binding()
	}
	return s.bound, s.call(ctx, "bind")
}

func (s *stage) Invited(ctx context.Context, _ kefu.AppID, text string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return text == s.invited, s.call(ctx, "invited")
}

func (s *stage) Whose(ctx context.Context, _ kefu.CustomerID) (kefu.AgentID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whose, s.call(ctx, "whose")
}

func (s *stage) Announce(ctx context.Context, c kefu.Chat, given bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announced, s.given = append(s.announced, c), append(s.given, given)
	return s.call(ctx, "announce")
}

func (s *stage) Partitions() int { return 2 }

func (s *stage) Overdue(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Overdue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.call(ctx, "overdue")
	if r.Partition != 0 || err != nil {
		return nil, err
	}
	got := s.overdue
	for i := range got {
		got[i].Lease = r.At.Add(r.For)
	}
	s.overdue = nil
	return got, nil
}

func (s *stage) Hurry(ctx context.Context, c kefu.CustomerID, agent kefu.AgentID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurried = append(s.hurried, string(agent)+" "+c.User)
	return true, s.call(ctx, "hurry")
}

func (s *stage) Chat(agent kefu.AgentID) kefu.Chat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chats[agent]
}

func (s *stage) AgentOf(chat kefu.CustomerID) kefu.AgentID {
	s.mu.Lock()
	defer s.mu.Unlock()
	for agent, c := range s.chats {
		if c.ID == chat {
			return agent
		}
	}
	return ""
}

func (s *stage) Knows(time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ignorant
}

func (s *stage) Keep(c kefu.Chat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[c.Agent] = c
}

// Typing tells the test, which has to ask for it, and waits until ctx ends if it
// does not.
func (s *stage) Typing(ctx context.Context, to kefu.CustomerID) error {
	select {
	case s.typed <- to:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stage) send(ctx context.Context, lane kefu.Lane) kefu.Verdict {
	s.mu.Lock()
	s.delivered = append(s.delivered, lane)
	v := next(&s.verdicts, kefu.Verdict{Outcome: kefu.OutcomeSent})
	f := s.deliver
	s.mu.Unlock()
	if f != nil {
		return f(ctx)
	}
	return v
}

func (s *stage) move(_ context.Context, m kefu.Move) (kefu.Moved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves = append(s.moves, m)
	if s.moved == nil {
		return kefu.Moved{Agent: "li"}, nil
	}
	return s.moved(m)
}

// asked gives how often a call was made.
func (s *stage) asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c == name {
			n++
		}
	}
	return n
}

// notes are kefud's own words to agents.
func (s *stage) notes() []string {
	var out []string
	for _, p := range s.posts {
		if len(p.Lines) > 0 && p.Lines[0].Note {
			out = append(out, p.Lines[0].Words.Text)
		}
	}
	return out
}

// logged fails if the log holds what it must not.
func (s *stage) logged(t *testing.T) string {
	t.Helper()
	for _, id := range []kefu.CustomerID{wangChat, liChat, stranger, ann, bob} {
		if strings.Contains(s.log.String(), id.User) {
			t.Errorf("the log holds an openid:\n%s", s.log.String())
		}
	}
	return s.log.String()
}

func shopTable(t *testing.T) *kefu.Table {
	t.Helper()
	notices, err := kefu.NewNotices(map[kefu.NoticeKind]string{kefu.NoticeClosed: "bye"})
	if err != nil {
		t.Fatal(err)
	}
	shop := kefu.App{
		ID: "shop", Default: "cs1", Idle: 30 * time.Minute, Notices: notices, Transcript: time.Hour,
		Entries: []kefu.Entry{
			{Tag: "cs1", Name: "售前", AnswerTimeout: 90 * time.Second, Steps: []kefu.Step{{Agents: []kefu.AgentID{"wang"}}, {Group: "presale", Agents: []kefu.AgentID{"li", "zhao"}}}},
			{Tag: "cs2"},
		},
	}
	board := kefu.App{ID: "board", Switchboard: true, Allowance: kefu.Allowance{AfterMessage: 5, AfterMessageWindow: window}}
	relayed := kefu.Relay{App: "board"}
	table, err := kefu.NewTable([]kefu.App{shop, {ID: "mall"}, board}, []kefu.Agent{
		{ID: "wang", Name: "王小姐", Relay: relayed},
		{ID: "li", Name: "李先生", Relay: relayed},
		{ID: "zhao", Name: "Zhao Yun", Relay: relayed},
		{ID: "given", Name: "钱先生", Relay: kefu.Relay{App: "board", User: "oGiven"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// open sets a stage with the agents wang and li online in their chats.
func open(t *testing.T) (*stage, *Relay) {
	t.Helper()
	table := shopTable(t)
	s := &stage{
		err: map[string]error{}, now: func() time.Time { return noon }, until: noon.Add(window), typed: make(chan kefu.CustomerID),
		chats: map[kefu.AgentID]kefu.Chat{
			"wang": {Agent: "wang", ID: wangChat, State: kefu.ChatOnline, Until: noon.Add(window)},
			"li":   {Agent: "li", ID: liChat, State: kefu.ChatOnline, Until: noon.Add(window)},
		},
		heard: []kefu.Heard{{Chat: kefu.Chat{State: kefu.ChatOnline, Until: noon.Add(window)}}},
	}
	return s, New(Options{
		Store: s, Board: s, Table: func() *kefu.Table { return table }, Deliver: s.send, Move: s.move,
		Budget: 2 * time.Second, Now: func() time.Time { return s.now() }, Logger: zerolog.New(&s.log),
	})
}

func customerText(text string) kefu.Message {
	return kefu.Message{Customer: ann, Key: "m1", Kind: kefu.KindText, Type: "text", Text: text}
}

func lane(ids ...string) kefu.Drawn {
	d := kefu.Delivery{To: wangChat}
	for _, id := range ids {
		d.Lines = append(d.Lines, kefu.Line{ID: id, Of: ann, Ref: "c:m1", Words: kefu.Words{Text: id}})
	}
	d.More = len(ids) == 0
	return kefu.Drawn{State: kefu.DrawMine, Lane: kefu.Lane{Delivery: d, Allowed: true}}
}
