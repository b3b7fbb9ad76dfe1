package kefu

import "time"

// A ChatState is what an agent has said of himself in his own WeChat chat.
type ChatState uint8

// The states of an agent's chat.
const (
	ChatOffline ChatState = iota // 下线: takes no new conversation; those he has run to their end
	ChatOnline                   // 上线
	ChatBusy                     // 忙碌: as offline, but he means to come back
	ChatGone                     // he has unfollowed the switchboard; nothing can be sent to him
)

var chatStateNames = [...]string{"offline", "online", "busy", "gone"}

// String gives the state as logs and lists name it.
func (s ChatState) String() string {
	if int(s) < len(chatStateNames) {
		return chatStateNames[s]
	}
	return chatStateNames[ChatOffline]
}

// A Chat is an agent's own WeChat chat with a switchboard, bound to him.
type Chat struct {
	Agent AgentID
	ID    CustomerID // the switchboard, and the agent's openid in it; User "" = no chat is bound
	State ChatState
	Until time.Time // from then on WeChat takes nothing for him, unless he writes before; zero = he has not written
}

// Open reports whether something can be sent to the chat at an instant.
func (c Chat) Open(at time.Time) bool {
	return c.ID.User != "" && c.State != ChatGone && at.Before(c.Until)
}

// A Media is a picture as one app's WeChat keeps it, for 3 days. The zero Media
// is none.
type Media struct {
	App AppID
	ID  string // media_id
}

// Words are what one human says to another: a text, or a picture with a text
// that stands for it where it cannot be carried.
type Words struct {
	Text  string
	Media Media
	// Unreadable says that no key opens them any more: there were words, and that is
	// all that is known.
	Unreadable bool
}

// A Line is a message as an agent reads it in his chat.
type Line struct {
	ID    string     // within the chat, in order; given by the store
	Of    CustomerID // whose conversation it belongs to; zero = of none
	Label int        // of the conversation, from 1; given by the store
	Entry EntryTag
	Words Words
	Note  bool   // kefud's own word to the agent, sent as it stands; else the customer's, under label and entry
	Hint  bool   // the agent has another conversation selected, and is told how to answer this one
	Doubt bool   // a send of it was broken off: he may have it already
	Part  bool   // of a text that is too long for one message: goes on where the line before it ends
	Ref   string // which Saying of the transcript it is; "" = none
}

// A Forwarding is a customer's message to be brought to an agent's chat before
// its push is answered.
type Forwarding struct {
	Message Message
	Entry   EntryTag
	Agent   AgentID
	From    AgentID // another who had the conversation until now; "" = nobody
	Kept    bool    // he has it already, so that he need not take new ones
	Turn    int64   // grows with every push of the customer
	At      time.Time
}

// A Handover brings a conversation to another agent without a message of the
// customer.
type Handover struct {
	Customer CustomerID
	Entry    EntryTag
	Agent    AgentID
	From     AgentID
	At       time.Time
	After    string // the last Saying that the agent has been brought: only what the customer said since; "" = all
	Unread   bool   // the agent is not brought what From has not had: it is kept for From
	Brought  bool   // the agent was brought all that From may not have had
}

// A Posting writes lines of one conversation down for an agent's chat.
type Posting struct {
	Chat     CustomerID
	Customer CustomerID // whose conversation; zero = of none, which has no label
	Key      MessageKey // of the push that is forwarded; "" = always new
	Entry    EntryTag
	At       time.Time
	Idle     time.Duration
	Turn     int64
	Lines    []Line
	Last     string // the customer's last words, for lists
	Quiet    bool   // whoever posts it sees to its sending
	Waits    bool   // the customer waits for an answer from now on
	Taken    bool   // the agent may be given it although he takes nothing new: he has it already
}

// A PostState is what became of a Posting.
type PostState uint8

// The states of a posting.
const (
	PostWritten   PostState = iota // written down, now or by an earlier try
	PostWithdrawn                  // an earlier try was given up: another agent has the message, or WeChat's desk
	PostRefused                    // the chat takes nothing new, or nothing at all
)

// A Posted is the store's answer to a Posting.
type Posted struct {
	State PostState
	Last  string // id of the last of the lines, to be asked for by Draw
	Label int
}

// A DrawState is what became of the wish to send what a chat is owed.
type DrawState uint8

// The states of a draw.
const (
	DrawMine  DrawState = iota // the lane is leased to the caller
	DrawDone                   // the line asked for has been sent, or somebody else was brought it
	DrawGone                   // the line asked for was taken out: its conversation has left the chat
	DrawHeld                   // nothing may be sent before the agent writes; it is kept for him until then
	DrawWait                   // somebody else is sending, or a moment is given to what may come with it
	DrawEmpty                  // there is nothing
)

// A Draw asks for what a chat is owed. Line "" asks for no particular line.
type Draw struct {
	Chat CustomerID
	Line string
	At   time.Time
	For  time.Duration // length of the lease
}

// A Drawn is the store's answer to a Draw. The Delivery of its Lane holds all
// lines that go out in one message.
type Drawn struct {
	State  DrawState
	Lane   Lane      // DrawMine
	Due    time.Time // DrawWait: when to ask again
	PutOff bool      // DrawWait: the last try failed, nobody tries before Due
}

// An Utterance is an agent's answer to a customer.
type Utterance struct {
	Customer CustomerID
	Agent    AgentID
	Key      MessageKey // of the agent's own message
	At       time.Time
	Idle     time.Duration
	Words    Words
	Keep     time.Duration // of transcripts, see Receipt
}

// A SaidState is what became of an Utterance.
type SaidState uint8

// The states of an utterance.
const (
	SaidOwed    SaidState = iota // it will be sent, in order
	SaidWaits                    // WeChat takes no more before the customer writes; it is kept until then
	SaidNotHis                   // the conversation is somebody else's by now
	SaidTooLate                  // the customer has been silent for too long: WeChat takes nothing any more
)

// A Said is the store's answer to an Utterance.
type Said struct {
	State SaidState
	Agent AgentID   // SaidNotHis: who has the conversation; "" = nobody of ours
	Left  int       // SaidOwed: how many more WeChat takes before the customer writes again
	Until time.Time // of the customer's allowance
}

// A Closing ends a conversation for the agent who serves.
type Closing struct {
	Customer CustomerID
	Agent    AgentID
	At       time.Time
	Notice   *Delivery // nil = none
}

// An Overdue is a customer whose agent has not answered in time.
type Overdue struct {
	Customer CustomerID
	Lease    time.Time
	Agent    AgentID // who serves
	Since    time.Time
}

// A Move takes a conversation from the agent who has it, without a message of
// the customer.
type Move struct {
	Customer CustomerID
	From     AgentID
	To       []AgentID // whom he chose, in order; nil = the entry's ladder
	Missed   bool      // he did not answer in time, or cannot
	Since    time.Time // only if the customer has waited since then; zero = whether he waits or not
	At       time.Time
}

// A Moved is what became of a Move.
type Moved struct {
	Agent   AgentID // who has it now; "" = nobody
	Stays   bool    // nobody could take it, and it stays where it is
	Changed bool    // it was no longer his, or the customer does not wait any more
	Brought bool    // Agent was brought all that the customer had said
	Reason  Reason  // of the first who refused, if there is only one; else ReasonPool
}
