package kefu

import "time"

// A Delivery is one message that is owed to a customer, or to an agent in his
// chat, by the customer-service API. It is written down before the push that
// caused it is answered. A notice's text is made when it is sent, from the
// notices as they are then.
type Delivery struct {
	ID       string // unique within the recipient's lane, in order of writing; given by the store
	To       CustomerID
	Notice   NoticeKind
	Words    Words  // an agent's, to a customer; zero = a notice
	Ref      string // of Words: which Saying of the transcript they are; "" = none
	Lines    []Line // to an agent's chat: what goes out in one message; nil = to a customer
	More     bool   // to an agent's chat: only word that more waits, the last that may be sent
	Entry    EntryTag
	Agent    AgentID // the agent who was in fact given the conversation; "" = WeChat's desk chooses
	Position int
	Once     bool      // at most once per conversation
	At       time.Time // when it came to be owed
	Expires  time.Time // useless from then on: dropped and counted
	Attempts int       // sends tried so far
}

// A Lane is the head of one customer's queue of deliveries, leased to one
// worker until Lease: nobody else sends to that customer in the meantime, so
// his messages stay in order.
type Lane struct {
	Delivery Delivery
	Lease    time.Time
	Allowed  bool // the allowance had room, and one message of it is reserved for this delivery
	Over     bool // it has not, and its time is over: there will be room only if the customer acts
}

// A Burial is a delivery that no retry can save, kept for a human.
type Burial struct {
	Delivery Delivery
	Reason   string // stable word, such as "unauthorized"
	Code     int    // WeChat's errcode, if that was the reason; else 0
	At       time.Time
}

// An Outcome is what became of one attempt at a delivery.
type Outcome uint8

// The outcomes.
const (
	OutcomeSent    Outcome = iota // WeChat took it
	OutcomeRetry                  // not sent; try again at Verdict.Due
	OutcomeWait                   // not tried, no allowance; look again at Verdict.Due
	OutcomeDropped                // useless now: too late, or nothing more may be sent
	OutcomeBuried                 // no retry can help; kept for a human
)

var outcomeNames = [...]string{"sent", "retry", "wait", "dropped", "buried"}

// String gives the outcome as metrics and logs name it.
func (o Outcome) String() string { return outcomeNames[o] }

// A Ledger says what to do with the message of the allowance that was reserved
// for an attempt.
type Ledger uint8

// What to do with the reserved message.
const (
	LedgerSpent  Ledger = iota // it was used, or may have been
	LedgerRefund               // it was certainly not used
	LedgerEmpty                // WeChat says that none is left: nothing more until the customer's next action
)

// A Verdict ends one lease of a lane: what became of its delivery and of the
// allowance reserved for it.
type Verdict struct {
	Outcome Outcome
	Ledger  Ledger
	Due     time.Time // OutcomeRetry, OutcomeWait
	Reason  string    // stable word for OutcomeDropped and OutcomeBuried, such as "expired" or "unauthorized"
	Code    int       // WeChat's errcode, if it is due to one
	Doubt   bool      // OutcomeRetry: the message may have arrived all the same
}

// Answers reports whether the delivery is an agent's answer to a customer.
func (d Delivery) Answers() bool { return d.Words != (Words{}) }

// A LeaseRequest asks for the lanes of one partition that have something due.
type LeaseRequest struct {
	Partition int
	At        time.Time
	For       time.Duration // nobody else gets these lanes for so long
	Max       int           // lanes
}

// A Backlog is what the outbox still owes.
type Backlog struct {
	Lanes  int       // customers with something owed
	Oldest time.Time // when the lane that is longest overdue fell due; zero if none is
	Buried int
}
