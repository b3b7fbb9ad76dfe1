package kefu

import "time"

// An OwedState is where a delivery that has not been sent is.
type OwedState string

// The states.
const (
	OwedWaiting OwedState = "waiting" // in its recipient's lane: it is sent as soon as it may be
	OwedBuried  OwedState = "buried"  // given up, and kept for a human
)

// An Owed is a delivery that has not been sent, as an operator sees it:
// everything but what it says.
type Owed struct {
	ID       string // names it in the whole outbox; to be asked for with Retry
	To       CustomerID
	Kind     string // "answer", "line" (to an agent's chat), or a notice's name
	Agent    AgentID
	State    OwedState
	Reason   string // stable word for why it is not sent; "" = it has only not come to it
	Code     int    // WeChat's errcode that it was given up for; 0 = another reason
	Attempts int
	At       time.Time // when it came to be owed
	Buried   time.Time // OwedBuried: when it was given up
	Due      time.Time // OwedWaiting: when its lane is looked at again
	Until    time.Time // until when it may be sent, as of now; zero = nothing is known of the recipient
}

// An OwedQuery asks for a page of what is owed.
type OwedQuery struct {
	State  OwedState
	App    AppID  // "" = of all
	Limit  int    // deliveries, at most; a page may have fewer although others follow
	Cursor string // OwedPage.Next of the page before; "" = from the beginning
}

// An OwedPage is a part of what is owed, one partition after the other. What comes
// to be owed or is sent between two pages may be missed, or be on both.
type OwedPage struct {
	Deliveries []Owed
	Next       string // "" = this was the last page
}

// A Revival is what became of putting a buried delivery back into its lane.
type Revival struct {
	Outcome RevivalOutcome
	Until   time.Time // until when it may be sent, or might have been; zero = not known
}

// A RevivalOutcome says whether a delivery was put back, or why not.
type RevivalOutcome uint8

// The outcomes.
const (
	Revived           RevivalOutcome = iota // it is in its lane, in the place that it had
	RevivedBefore                           // it was put back before, and is not buried now
	RevivalUnknown                          // no such delivery is buried
	RevivalOver                             // nothing may be sent to the customer any more, unless he acts
	RevivalExpired                          // the notice is useless by now
	RevivalForgotten                        // nothing is known of the customer any more
	RevivalOfLine                           // a line to an agent's chat: his customer went to somebody else
	RevivalUnreadable                       // no key opens its words
)
