package simulator

import (
	"fmt"
	"strings"
	"time"
)

// An EventKind is what has happened.
type EventKind string

// The kinds of events, and what Text is with each.
const (
	Tapped    EventKind = "tapped"    // a customer came through a contact button; its session-from
	Said      EventKind = "said"      // a customer wrote; the text, or [image] and the like
	Followed  EventKind = "followed"  // a user follows an official account
	Left      EventKind = "left"      // a user follows it no longer
	Pushed    EventKind = "pushed"    // a push leaves for the server; its number
	Repushed  EventKind = "repushed"  // the same push once more; its number
	Straight  EventKind = "straight"  // a message goes to the agent who serves, past the server
	Answered  EventKind = "answered"  // the server answered well; with what
	Unheard   EventKind = "unheard"   // there was no answer in time; why
	Queued    EventKind = "queued"    // a customer waits for any agent
	Taken     EventKind = "taken"     // an agent took a customer
	Stuck     EventKind = "stranded"  // a customer waits for an agent who cannot take him; why
	Ended     EventKind = "ended"     // a session ended; by whom
	Delivered EventKind = "delivered" // a message reached a customer, or an agent's chat; its text, or [image]
	Relayed   EventKind = "relayed"   // an agent's own chat has a customer's message; its text, or [image]
	Broken    EventKind = "broken"    // a rule was broken; which
	Online    EventKind = "online"    // an agent came
	Offline   EventKind = "offline"   // an agent went
)

// An Event is one thing that happened in a Box.
type Event struct {
	At       time.Time
	Kind     EventKind
	Account  string // name
	Customer string // openid; "" if it is about none
	Agent    string // nick, or the name of his chat; "" if it is about none
	Push     int64  // Push.ID; 0 if it is about none
	Text     string
	Took     time.Duration // Answered and Unheard: since the push left
}

// String tells the event in a line.
func (e Event) String() string {
	parts := []string{e.Account}
	for _, s := range []string{e.Customer, string(e.Kind), e.Agent, e.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Took > 0 {
		parts = append(parts, fmt.Sprintf("(%s)", e.Took.Round(100*time.Microsecond)))
	}
	return strings.Join(parts, " ")
}

// eventKind is what a customer did, by WeChat's name of the event.
func eventKind(name string) EventKind {
	switch name {
	case "subscribe":
		return Followed
	case "unsubscribe":
		return Left
	default:
		return Tapped
	}
}

// emit tells of something that happened. Locked.
func (b *Box) emit(e Event) {
	b.stirred = true
	if b.opts.OnEvent == nil {
		return
	}
	e.At = b.opts.Now()
	b.events = append(b.events, e)
}

// A Fault is one rule broken by the server.
type Fault struct {
	At       time.Time
	Account  string // name
	Customer string // openid; "" if it is about none
	Push     int64  // Push.ID; 0 = an API call
	What     string // which rule, in words
}

// String tells the fault in a line.
func (f Fault) String() string {
	if f.Push == 0 {
		return fmt.Sprintf("%s: %s", f.Account, f.What)
	}
	return fmt.Sprintf("%s: push %d: %s", f.Account, f.Push, f.What)
}

const maxFaults = 1000 // kept with their words; beyond, they are only counted

// fault writes down that a rule was broken. Locked.
func (b *Box) fault(f Fault) {
	f.At = b.opts.Now()
	b.broken++
	if len(b.faults) < maxFaults {
		b.faults = append(b.faults, f)
	}
	b.opts.Logger.Warn().Str("app", f.Account).Int64("push", f.Push).Str("what", f.What).Msg("rule of WeChat broken")
	b.emit(Event{Kind: Broken, Account: f.Account, Customer: f.Customer, Push: f.Push, Text: f.What})
}

// Faults lists the rules broken so far, the first thousand of them.
func (b *Box) Faults() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Fault(nil), b.faults...)
}
