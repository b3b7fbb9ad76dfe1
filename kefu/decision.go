package kefu

import "time"

// A Reason is why a push was answered as it was, or why a candidate was taken
// or refused: a stable word for metrics, logs and explain.
type Reason string

// Reasons of decisions.
const (
	ReasonKept         Reason = "kept"          // the conversation stays with its agent
	ReasonOwner        Reason = "owner"         // the sticky owner took it
	ReasonAsked        Reason = "asked"         // the tag asked for this agent or group
	ReasonStep         Reason = "step"          // a step of the ladder, the customer had no owner
	ReasonStandIn      Reason = "stand_in"      // the owner could not; another of the ladder did
	ReasonOwnerChanged Reason = "owner_changed" // the same, once too often or for an owner who has left: a new owner
	ReasonPool         Reason = "pool"          // nobody on the ladder could: WeChat's desk chooses
	ReasonNobodyHeld   Reason = "nobody_held"   // an enter event, nobody on the ladder could: decided again by the first message
	ReasonRepeat       Reason = "repeat"        // a push seen before
	ReasonIgnored      Reason = "ignored"       // nothing to route: other events, unknown types
	ReasonDegraded     Reason = "degraded"      // something behind us is broken; Cause says what
	ReasonMoved        Reason = "moved"         // the agent who had it did not answer in time, or gave it to another
	ReasonHeard        Reason = "heard"         // an agent's own message, from his chat
	ReasonStranger     Reason = "stranger"      // a message in a switchboard from somebody who is no agent
)

// Reasons of candidates.
const (
	ReasonTaken     Reason = "taken"      // has the conversation
	ReasonFull      Reason = "full"       // no free seat
	ReasonOffline   Reason = "offline"    // known not to be there
	ReasonUnknown   Reason = "unknown"    // not known to be there: no list, or an old one
	ReasonPaused    Reason = "paused"     // an operator paused him
	ReasonAway      Reason = "away"       // an operator said he is away
	ReasonLeft      Reason = "left"       // no agent of that id any more, or not on the ladder
	ReasonNoWay     Reason = "no_way"     // has no desk at this app and no relay
	ReasonWaits     Reason = "waits"      // an earlier step is still waited for
	ReasonNotNeeded Reason = "not_needed" // somebody before him took it
	ReasonRefused   Reason = "refused"    // chosen, but the relay could not reach him
	ReasonMissed    Reason = "missed"     // has not answered in time in this conversation
)

// A Cause is what was broken when a decision was degraded: a stable word.
type Cause string

// The causes.
const (
	CauseNone    Cause = ""
	CauseStore   Cause = "store"   // Redis gone, slow, full, or refusing
	CauseBudget  Cause = "budget"  // no time left
	CausePanic   Cause = "panic"   // a defect of ours
	CauseTable   Cause = "table"   // no such app or entry in the routing table
	CauseRelay   Cause = "relay"   // a message could not be relayed after all
	CauseContest Cause = "contest" // other pushes of the same customer kept winning the race
)

// A Candidate is an agent as one decision saw him.
type Candidate struct {
	Agent  AgentID `json:"agent"`
	Step   int     `json:"step"`            // the step that names him, from 1; 0 = as owner or asked for, before the ladder
	Group  string  `json:"group,omitempty"` // the step's group
	Load   int     `json:"load"`            // conversations he had
	Limit  int     `json:"limit,omitempty"` // his capacity; 0 = none
	Reason Reason  `json:"reason"`
}

// A Decision is the answer to one push, and why. There always is one: trouble
// makes it Degraded and goes into Cause.
type Decision struct {
	Answer   Answer
	At       time.Time // when the push was first seen: the same for its repeats
	Entry    EntryTag
	Agent    AgentID // who has the conversation; "" = WeChat's desk chooses
	Step     int     // the step that named Agent, from 1; 0 = none
	Reason   Reason
	Repeat   bool
	Degraded bool
	Cause    Cause
	Err      error // what Cause was, for the log; holds no secret and no text of a customer
}

// A Record is a decision as explain shows it later.
type Record struct {
	At         time.Time   `json:"at"`
	Kind       string      `json:"kind"` // of the push
	Entry      EntryTag    `json:"entry"`
	Agent      AgentID     `json:"agent,omitempty"`
	Owner      AgentID     `json:"owner,omitempty"`
	Borrowed   int         `json:"borrowed,omitempty"`
	Reason     Reason      `json:"reason"`
	Way        string      `json:"way"` // the Way's letter
	Position   int         `json:"position,omitempty"`
	Candidates []Candidate `json:"candidates"`
}

// A History is what explain can tell of a customer: his conversation now, and
// his last decisions, the newest first.
type History struct {
	Found        bool
	Conversation Conversation
	LastPush     time.Time
	Records      []Record
}
