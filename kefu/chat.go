package kefu

import "time"

// A Hearing is a message of an agent's chat as the store is told of it.
type Hearing struct {
	Chat      CustomerID
	Key       MessageKey
	At        time.Time
	Said      time.Time // when WeChat says he wrote it, to the second; zero = it does not
	Allowance Allowance
	Idle      time.Duration // a conversation without a word for so long is over
	Label     int           // the conversation he means; 0 = the selected one
	Select    bool          // the conversation he means is the selected one from now on
	Target    bool          // a conversation is meant at all
	Silent    bool          // nothing he wrote: nothing is earned by it
	Takeover  time.Duration // a message whose first hearing has no reply after this is heard again
}

// A SelectState says which conversation an agent's message means.
type SelectState uint8

// How a conversation was found, or why not.
const (
	SelectFound   SelectState = iota
	SelectNone                // there is no open conversation
	SelectMany                // there are conversations and none is selected
	SelectUnknown             // no conversation has that label
	SelectLost                // one that he may mean was taken from him since he last wrote
)

// An Open is a conversation as an agent's chat has it.
type Open struct {
	Label    int
	Customer CustomerID
	Entry    EntryTag
	Waiting  time.Time // since when the customer waits for an answer; zero = he does not
	Last     time.Time // of the last word, of either side
	Line     Words     // the customer's last words, shortened
	Selected bool
	Over     bool // without a word for too long; it can still be answered
}

// A Hearsay ends a Hearing: what the agent was told, and the conversation he
// answered, if he did.
type Hearsay struct {
	Chat     CustomerID
	Key      MessageKey
	First    time.Time
	At       time.Time
	Reply    string
	Label    int // 0 = he answered none
	Customer CustomerID
}

// A Heard is the store's answer to a Hearing.
type Heard struct {
	Repeat bool // heard before, and Reply stands if Done
	Done   bool
	Reply  string
	First  time.Time

	Chat     Chat // Agent is not filled in
	State    SelectState
	Target   Open   // SelectFound
	Opens    []Open // all of them, by label
	Lost     int    // SelectLost: the label that was taken
	LostTo   string // SelectLost: a word on who has it; "" = that is not known
	Announce bool   // what other replicas know of the chat is no longer right
}

// A Leaving takes a conversation out of an agent's chat, with what was not yet
// sent of it, unless he is to have that all the same.
type Leaving struct {
	Chat     CustomerID
	Customer CustomerID
	At       time.Time
	Idle     time.Duration
	Taken    bool   // from him; else he gave it up himself
	To       string // Taken: a word on who has it now, for the agent; "" = that is not known
	Missed   bool   // he did not answer in time
	Keeps    bool   // he is still sent what he has not had: nobody else will be
	Brought  bool   // somebody else was brought it; else whoever waits for it to be sent brings it himself
}

// A Left is the store's answer to a Leaving.
type Left struct {
	Label   int // 0 = the chat did not have the conversation
	Misses  int // how many in a row he has not answered in time
	Only    int // the label of the only conversation left, selected by that; 0 = none
	WasHis  bool
	Dropped int // lines that he has not had
}

// An Invitation lets one agent bind his chat, once, by sending its code to the
// switchboard.
type Invitation struct {
	Agent AgentID
	App   AppID  // the switchboard
	Code  string // six characters; see relay.NewCode
	At    time.Time
	For   time.Duration
}

// A BindState is what became of the wish to bind a chat.
type BindState uint8

// The states of a binding.
const (
	BindDone    BindState = iota
	BindWrong             // no such code, or no longer
	BindTooMany           // too many wrong codes, from this chat or in all
	BindTaken             // the chat is another agent's
)

// A Bound is the store's answer to a code.
type Bound struct {
	State BindState
	Agent AgentID // whose the chat is now, or was before
}
