package kefu

import (
	"strings"
	"time"
)

// A Way is how a push is answered, and with that how its message travels. The
// letters are what the store keeps.
type Way byte

// The ways. Of the two transfers only the named one designates anybody.
const (
	WayNone    Way = 0   // not decided
	WaySuccess Way = 'S' // "success" and nothing else: events
	WayRelay   Way = 'R' // sent to the agent's own WeChat chat; "success"
	WayNamed   Way = 'N' // a transfer that names the agent's desk account
	WayPlain   Way = 'P' // a transfer; WeChat's desk chooses who
	WayText    Way = 'T' // a passive text to an agent in his chat; official accounts only
)

// Designates reports whether the way brings the conversation to its agent and
// to nobody else.
func (w Way) Designates() bool { return w == WayRelay || w == WayNamed }

// Transfers reports whether the answer is a transfer.
func (w Way) Transfers() bool { return w == WayNamed || w == WayPlain }

// An Answer is what one push is answered with. The zero Answer is "not decided
// yet". Account goes with WayNamed.
type Answer struct {
	Way     Way
	Agent   AgentID // "" when nobody on the ladder could be had
	Account string  // the desk account named, so that a repeat names the same
	Text    string  // WayText
}

// Decided reports whether there is an answer.
func (a Answer) Decided() bool { return a.Way != WayNone }

// A Reach lists which agents can be reached at one instant by one app's
// customers, and how. It travels to the store with every push, so that
// receiving a message and finding that its agent still has it is one step; the
// store looks an agent up in it and understands nothing else of it.
//
// Its form is " agent=LETTERaccount agent=LETTERaccount … ", each item between
// single spaces.
type Reach string

// NewReach builds a Reach from answers, one an agent. Answers without an agent
// or with an account that holds a space are left out: nobody could look them up.
func NewReach(answers []Answer) Reach {
	var b strings.Builder
	b.WriteByte(' ')
	for _, a := range answers {
		if a.Agent == "" || !a.Decided() || strings.ContainsAny(a.Account, " \n") {
			continue
		}
		b.WriteString(string(a.Agent))
		b.WriteByte('=')
		b.WriteByte(byte(a.Way))
		b.WriteString(a.Account)
		b.WriteByte(' ')
	}
	return Reach(b.String())
}

// Answer looks an agent up; the zero Answer if he cannot be reached.
func (r Reach) Answer(agent AgentID) Answer {
	_, rest, ok := strings.Cut(string(r), " "+string(agent)+"=")
	if agent == "" || !ok || rest == "" {
		return Answer{}
	}
	item, _, _ := strings.Cut(rest, " ")
	return Answer{Way: Way(item[0]), Agent: agent, Account: item[1:]}
}

// Relays reports whether an agent can be reached by the relay.
func (r Reach) Relays() bool { return strings.Contains(string(r), "="+string(rune(WayRelay))) }

// An Ask is what a customer's tag asks for: an entry, and perhaps one agent or
// group of its ladder. The zero Ask is a push without a tag.
type Ask struct {
	Entry EntryTag
	Agent AgentID
	Group string
}

// A Receipt is one routed push as the store is told of it.
type Receipt struct {
	Customer CustomerID
	Key      MessageKey
	Enter    bool // an enter event; else a customer's message
	At       time.Time

	Ask           Ask           // from the tag
	AskSticky     time.Duration // how long Ask.Entry is remembered
	Default       EntryTag      // the entry of whoever has none
	DefaultSticky time.Duration

	Reach     Reach
	Idle      time.Duration
	Allowance Allowance
	Greeting  *Delivery // owed at once if the conversation stays with its agent; nil = none

	Words Words         // of a customer's message, for the transcript if it is relayed
	Keep  time.Duration // of transcripts; 0 = no longer than a handover may need them
}

// A Conversation is what the store knows of a customer's open exchange.
type Conversation struct {
	Entry    EntryTag
	Ask      Ask       // the agent or group last asked for at this entry
	Owner    AgentID   // sticky assignment for Entry; "" if there is none or it has lapsed
	Borrowed int       // conversations in a row that a stand-in had instead of the owner
	Serving  AgentID   // who has the conversation; "" if nobody
	Standing bool      // Serving is a stand-in, so that a further change is still the same borrowing
	Live     bool      // not idle for too long, and of the same entry
	Holds    AgentID   // whose seat the customer may still hold; "" if nobody's
	Held     time.Time // when that seat was last taken or refreshed for this conversation
	Entered  time.Time
	Version  int64     // grows with every assignment
	Missed   []AgentID // who has not answered in time in this conversation, and is not asked again
	Turns    int64     // pushes of the customer so far; told by who only looks, see Received.Turn
}

// A Received is the store's answer to a Receipt.
type Received struct {
	Conversation
	Repeat bool      // the push was seen before; nothing was done again
	First  time.Time // when it was first seen
	Kept   bool      // the conversation stays with Serving, and Answer stands
	Turn   int64     // which push of the customer it is
	Answer Answer    // undecided: for a first sight, it is to be decided; for a repeat, another is deciding it
}

// A SeatRequest asks for a seat at the first candidate who has one free.
type SeatRequest struct {
	Customer   CustomerID
	Entry      EntryTag
	At         time.Time
	Idle       time.Duration // the seat falls free this long after its last refresh
	Holds      AgentID       // the seat the customer holds so far; given up, unless it is the one taken
	Stays      bool          // without a seat he keeps the agent he has, and does not wait; with it Holds is ""
	Held       time.Time     // Conversation.Held: a seat taken after it is another push's, and stays; zero = none stays
	Candidates []SeatCandidate
}

// A SeatCandidate is an agent who may take the customer. Capacity 0 is no limit.
type SeatCandidate struct {
	Agent    AgentID
	Capacity int
}

// A Seat is what a SeatRequest came to.
type Seat struct {
	Agent    AgentID // "" if everybody was full, or there was nobody
	Token    string  // proves this taking to Release; "" without an agent
	Loads    []Load  // of the candidates tried, the taken one last, each as it is now
	Position int     // without an agent: the customer's place among those of his entry who wait, from 1
}

// A Settlement ends the work on one push: it assigns the conversation if no
// other push has changed it since Version, keeps the answer for repeats, and
// writes down what is owed to the customer; all of it or nothing.
type Settlement struct {
	Customer CustomerID
	Key      MessageKey // "" = no push asks for it, and no answer is kept
	At       time.Time
	Version  int64
	Idle     time.Duration

	Entry    EntryTag
	Sticky   time.Duration // of Entry
	Agent    AgentID       // who serves from now on; "" = nobody on the ladder
	Owner    AgentID       // who owns the customer at Entry from now on; "" = nobody
	Borrowed int
	Answer   Answer
	Replace  bool // Answer takes the place of one decided before: the way it named did not work out

	Waits        time.Time     // only if the customer has waited for his agent's answer since then; zero = in any case
	AnswerWithin time.Duration // the customer waits for a relayed answer, for so long; 0 = nobody counts
	Missed       []AgentID     // see Conversation
	Words        Words         // for the transcript, if the message is relayed
	Keep         time.Duration // see Receipt

	Deliveries []Delivery
	Record     *Record // for explain; nil = not worth one
}

// A Settled is the store's answer to a Settlement.
type Settled struct {
	Applied bool
	Answer  Answer       // not applied: the answer that stands for this push, undecided if none does
	Now     Conversation // not applied: the conversation as the other push left it
	Met     bool         // not applied: the agent has answered since Settlement.Waits
}
