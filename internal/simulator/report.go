package simulator

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Accounted is what became of all that customers did.
type Accounted struct {
	Customers int // who did anything; agents at a switchboard are not among them
	Alone     int // of them, with a message that no human has or will have: stranded, lost or at fault

	Messages int // what customers wrote, the sum of the following
	Reached  int // an agent has it
	Queued   int // it waits at the desk, for any agent
	Stranded int // it waits for an agent who is not there
	Lost     int // taken by the server, at nobody
	Faults   int // the customer saw the FaultLine
	Pending  int // not sent, or on its way
	Odd      int // of types that need not reach a human, and did not

	Straight    int // of Reached, those that went past the server
	Relayed     int // of Reached, those that an agent's own chat has
	Events      int // enter and other events, of customers and agents
	EventFaults int // of Events, those without a good answer, or not sent yet
	Words       int // what agents wrote at switchboards
	WordFaults  int // of Words, those without a good answer, or not sent yet
	Pushes      int // exchanges with the server
	Repushes    int // of Pushes, those of a push that had been made before
	Broken      int // rules of WeChat broken, by answers and API calls
}

// AddsUp reports whether every message is where it is, once.
func (a Accounted) AddsUp() bool {
	return a.Messages == a.Reached+a.Queued+a.Stranded+a.Lost+a.Faults+a.Pending+a.Odd
}

// Well reports whether nothing went wrong: every message reached a human or
// will, and the server broke no rule.
func (a Accounted) Well() bool {
	return a.AddsUp() && a.Alone == 0 && a.Pending == 0 && a.EventFaults == 0 && a.WordFaults == 0 && a.Broken == 0
}

// Accounted sums up everything since the Box was made.
func (b *Box) Accounted() Accounted {
	b.mu.Lock()
	defer b.settled()
	sum := Accounted{Broken: b.broken}
	for _, a := range b.accounts {
		a.expire()
		for _, c := range a.order {
			c.sum(&sum)
		}
	}
	return sum
}

// sum adds a customer to an account. Locked.
func (c *Customer) sum(to *Accounted) {
	if len(c.pushes) == 0 {
		return
	}
	if !c.account.o.Switchboard {
		to.Customers++
	}
	alone := false
	for _, p := range c.pushes {
		to.Pushes += p.tries
		to.Repushes += max(p.tries-1, 0)
		if p.event() {
			to.Events++
			if p.fate != FateNone {
				to.EventFaults++
			}
			continue
		}
		if c.account.o.Switchboard {
			to.word(p.fate)
			continue
		}
		fate := p.current()
		to.message(fate, p.tries == 0)
		alone = alone || fate == FateStranded || fate == FateLost || fate == FateFault
	}
	if alone {
		to.Alone++
	}
}

// word counts what an agent wrote at a switchboard.
func (a *Accounted) word(f Fate) {
	a.Words++
	if f == "" || f == FateFault {
		a.WordFaults++
	}
}

// message counts a customer's message, past the server or not.
func (a *Accounted) message(f Fate, past bool) {
	a.Messages++
	*a.count(f)++
	switch {
	case f == FateRelayed:
		a.Relayed++
	case f == FateAgent && past:
		a.Straight++
	}
}

func (a *Accounted) count(f Fate) *int {
	switch f {
	case FateAgent, FateRelayed:
		return &a.Reached
	case FateQueued:
		return &a.Queued
	case FateStranded:
		return &a.Stranded
	case FateLost:
		return &a.Lost
	case FateFault:
		return &a.Faults
	case FateNone:
		return &a.Odd
	default:
		return &a.Pending
	}
}

// rows gives every number a name and an explanation.
func (a Accounted) rows(row func(name string, value any, what string)) {
	row("customers", a.Customers, "who did anything")
	row("messages", a.Messages, "what they wrote, of which")
	row("  reached", a.Reached, fmt.Sprintf("an agent has it (%d past the server, %d by relay)", a.Straight, a.Relayed))
	row("  queued", a.Queued, "waits at WeChat's desk for any agent")
	row("  stranded", a.Stranded, "waits for an agent who is not there")
	row("  lost", a.Lost, "the server took it, nobody has it")
	row("  faults", a.Faults, "the customer saw WeChat's fault line")
	row("  pending", a.Pending, "not sent, or on its way")
	row("  odd", a.Odd, "of types that need no human")
	row("events", a.Events, fmt.Sprintf("%d without a good answer", a.EventFaults))
	row("words", a.Words, fmt.Sprintf("what agents wrote at switchboards, %d without a good answer", a.WordFaults))
	row("pushes", a.Pushes, fmt.Sprintf("%d of them re-pushes", a.Repushes))
	row("broken", a.Broken, "rules of WeChat, by answers or API calls")
}

// Print writes the account as a plain table.
func (a Accounted) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	a.rows(func(name string, value any, what string) {
		_, _ = fmt.Fprintf(t, "%s\t%v\t%s\n", name, value, what) // Flush reports the error
	})
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print account: %w", err)
	}
	return nil
}

// shownFaults is how many broken rules LoadReport.Print gives in words.
const shownFaults = 10

// Print writes the report as a plain table, and the first broken rules below it.
func (r LoadReport) Print(w io.Writer, faults []Fault) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, value any, what string) {
		_, _ = fmt.Fprintf(t, "%s\t%v\t%s\n", name, value, what) // Flush reports the error
	}
	r.Accounted.rows(row)
	row("unheard", r.Unheard, "pushes without an answer in time")
	row("unaccounted", r.Unaccounted, "customers who did not come to their end")
	row("behind", r.Behind, fmt.Sprintf("pushes that left more than %s late", lateness))
	for _, q := range []struct {
		name    string
		percent float64
	}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}} {
		row(q.name, r.Latency.At(q.percent).Round(10*time.Microsecond), "until the answer")
	}
	if r.Took > 0 {
		row("pushes/s", fmt.Sprintf("%.0f", float64(r.Pushes)/r.Took.Seconds()), fmt.Sprintf("over %s", r.Took.Round(time.Millisecond)))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	if err := r.Latency.Histogram(w); err != nil {
		return err
	}
	for i, f := range faults[:min(len(faults), shownFaults)] {
		if _, err := fmt.Fprintf(w, "broken %d: %s\n", i+1, f); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
	}
	_, err := fmt.Fprintf(w, "%d customers without a human\n", r.Alone)
	if err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}
