package kefu

import "time"

// A Direction tells who said something.
type Direction string

// The directions.
const (
	FromCustomer Direction = "customer"
	FromAgent    Direction = "agent"
)

// Ref is what the saying of a push is known by among those of its customer.
func (d Direction) Ref(key MessageKey) string { return string(d[:1]) + ":" + string(key) }

// A Saying is one relayed message of a transcript.
type Saying struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Direction Direction `json:"direction"`
	Agent     AgentID   `json:"agent"`
	Text      string    `json:"text"`
	Picture   bool      `json:"picture,omitempty"`
	// Unreadable says that no key opens the words any more; Text is "" then.
	Unreadable bool   `json:"unreadable,omitempty"`
	State      string `json:"state"` // stable word: "accepted", "sent", "undeliverable"
	Reason     string `json:"reason,omitempty"`
	Ref        string `json:"-"` // what it is known by among the customer's
	Media      Media  `json:"-"` // of a picture
}

// Words are what was said.
func (s Saying) Words() Words { return Words{Text: s.Text, Media: s.Media, Unreadable: s.Unreadable} }

// The states of sayings.
const (
	SayingAccepted      = "accepted"      // written down to be sent
	SayingSent          = "sent"          // WeChat took it
	SayingUndeliverable = "undeliverable" // it never will
)

// A Mark says what became of a saying.
type Mark struct {
	Ref    string // of the saying
	State  string
	Reason string        // stable word, "" if it was sent
	Keep   time.Duration // of transcripts, see Receipt
}
