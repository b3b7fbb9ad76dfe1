// Package relay carries conversations between customers and agents' own WeChat
// chats with a switchboard, an official account of the company.
//
// A customer's message is written down for the agent's chat and sent there
// before its push is answered (Forward). What an agent writes is a command or an
// answer to the conversation he has selected (Route). Answers that do not come
// in time move conversations on (Run). Everything that is owed in either
// direction is durable, in order, and sent by the outbox.
package relay

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

// Posts are what agents' chats are owed.
type Posts interface {
	Post(ctx context.Context, p kefu.Posting) (kefu.Posted, error)
	Draw(ctx context.Context, d kefu.Draw) (kefu.Drawn, error)
	Withdraw(ctx context.Context, p kefu.Posting, line string) (bool, error)
	Leave(ctx context.Context, l kefu.Leaving) (kefu.Left, error)
	Opens(ctx context.Context, chat kefu.CustomerID, at time.Time, idle time.Duration) ([]kefu.Open, error)
}

// Ears keep what agents wrote, and what they were told.
type Ears interface {
	Hear(ctx context.Context, h kefu.Hearing) (kefu.Heard, error)
	HeardReply(ctx context.Context, chat kefu.CustomerID, key kefu.MessageKey) (string, bool, error)
	Reply(ctx context.Context, h kefu.Hearsay) error
	SetState(ctx context.Context, chat kefu.CustomerID, state kefu.ChatState) (kefu.Chat, error)
	Shut(ctx context.Context, chat kefu.CustomerID) error
}

// Sayings are what agents say to customers, and the transcripts of both.
type Sayings interface {
	Say(ctx context.Context, u kefu.Utterance) (kefu.Said, error)
	End(ctx context.Context, c kefu.Closing) (bool, error)
	Sayings(ctx context.Context, c kefu.CustomerID, limit int) ([]kefu.Saying, error)
	Mark(ctx context.Context, c kefu.CustomerID, m kefu.Mark) error
}

// Bindings say which chat is which agent's.
type Bindings interface {
	Bind(ctx context.Context, chat kefu.CustomerID, code string, at, until time.Time) (kefu.Bound, error)
	Invited(ctx context.Context, app kefu.AppID, text string) (bool, error)
	Whose(ctx context.Context, chat kefu.CustomerID) (kefu.AgentID, error)
	Announce(ctx context.Context, c kefu.Chat, given bool) error
}

// Timers tell who waits too long.
type Timers interface {
	Partitions() int
	Overdue(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Overdue, error)
	Hurry(ctx context.Context, c kefu.CustomerID, agent kefu.AgentID) (bool, error)
}

// A Store is all of these.
type Store interface {
	Posts
	Ears
	Sayings
	Bindings
	Timers
}

// A Board knows agents' chats from memory.
type Board interface {
	Chat(agent kefu.AgentID) kefu.Chat
	AgentOf(chat kefu.CustomerID) kefu.AgentID
	Keep(c kefu.Chat)
	// Knows reports whether what it says of chats is new enough to be believed.
	Knows(at time.Time) bool
}

// A Typist shows a customer that somebody is typing.
type Typist interface {
	Typing(ctx context.Context, to kefu.CustomerID) error
}

// Options are a relay's parts. Those that may be left out say so.
type Options struct {
	Store Store
	Board Board
	Table func() *kefu.Table // never nil, cheap, safe for concurrent use
	// Deliver sends what a leased lane is to send now, and tells the store.
	Deliver func(ctx context.Context, lane kefu.Lane) kefu.Verdict
	// Move gives a conversation to another agent.
	Move   func(ctx context.Context, m kefu.Move) (kefu.Moved, error)
	Typist Typist           // nil = nobody is shown that somebody types
	Budget time.Duration    // for one push
	Now    func() time.Time // nil = time.Now
	Logger zerolog.Logger

	Registerer prometheus.Registerer // nil = no metrics
}

// A Relay carries conversations. It is safe for concurrent use.
type Relay struct {
	Options
	metrics metrics

	hints sync.WaitGroup // typing
	slots chan struct{}  // of hints
	seen  recent
}

// hintsAtOnce bounds typing hints; what is over is left out.
const hintsAtOnce = 16

// New makes a relay.
func New(o Options) *Relay {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Relay{Options: o, metrics: newMetrics(o.Registerer, o.Table()), slots: make(chan struct{}, hintsAtOnce)}
}

// name is what an agent is called.
func (r *Relay) name(id kefu.AgentID) string {
	if a := r.Table().Agent(id); a != nil {
		return a.Name
	}
	return string(id)
}

// idle is how long a conversation of an app may be silent; a default for an app
// that has left the configuration.
func (r *Relay) idle(app kefu.AppID) time.Duration {
	if a := r.Table().App(app); a != nil {
		return a.Idle
	}
	return 30 * time.Minute
}

func (r *Relay) keep(app kefu.AppID) time.Duration {
	if a := r.Table().App(app); a != nil {
		return a.Transcript
	}
	return 0
}

// texts are those of the switchboard a chat is with.
func (r *Relay) texts(app kefu.AppID) kefu.Texts {
	if a := r.Table().App(app); a != nil {
		return a.Texts
	}
	return kefu.Texts{}
}

// entry is how agents know an entry.
func (r *Relay) entry(app kefu.AppID, tag kefu.EntryTag) string {
	if a := r.Table().App(app); a != nil {
		if e := a.Entry(tag); e != nil && e.Name != "" {
			return e.Name
		}
	}
	return string(tag)
}

// note writes a word of kefud's own down for an agent. What cannot be written
// down is logged: it is never the customer's words.
func (r *Relay) note(ctx context.Context, chat kefu.CustomerID, key kefu.MessageKey, text string) {
	now := r.Now()
	_, err := r.Store.Post(ctx, kefu.Posting{
		Chat: chat, Key: key, At: now, Idle: r.idle(chat.App), Lines: []kefu.Line{{Note: true, Words: kefu.Words{Text: text}}},
	})
	if err != nil {
		r.Logger.Warn().Err(err).Stringer("chat", chat).Msg("note to agent not written")
	}
}

// announce tells all replicas of an agent's chat.
func (r *Relay) announce(ctx context.Context, c kefu.Chat) error {
	r.Board.Keep(c)
	return r.Store.Announce(ctx, c, r.given(c))
}

// given reports whether the configuration names the chat as the agent's.
func (r *Relay) given(c kefu.Chat) bool {
	a := r.Table().Agent(c.Agent)
	return a != nil && a.Relay.App == c.ID.App && a.Relay.User == c.ID.User
}
