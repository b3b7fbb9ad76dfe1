package outbox

import (
	"context"
	"math/rand/v2"
	"time"

	"kefud/kefu"
)

// The outbox's own words for why a delivery was not sent. A Fault adds others.
const (
	reasonExpired     = "expired"
	reasonNoApp       = "no_app"       // its app has left the config
	reasonSwitchedOff = "switched_off" // its notice has no text any more
	reasonNoAllowance = "no_allowance"
	reasonAttempts    = "attempts" // tried too often
	reasonText        = "text"     // the notice's text cannot be made
	reasonPanic       = "panic"
	reasonBusy        = "busy" // its app has its share of the workers
	reasonOver        = "out_of_window"
	reasonUnreadable  = "unreadable" // no key opens the words any more
	reasonLate        = "late"       // too little is left of the lease
	reasonStopping    = "stopping"   // the process ends
	reasonUnknown     = "unknown"    // the sender's error does not say
)

// Without allowance, a lane is looked at again after waitLeast to waitMost. The
// queue need not do that any sooner when the allowance grows, except for an
// agent's answer, which is kept until the customer writes.
const (
	waitLeast  = 2 * time.Second
	waitMost   = 4 * time.Second
	waitAnswer = time.Minute
)

// A Fault is what the outbox asks of a Sender's error. An error that has none
// in its chain may be repeated, and may have been sent.
type Fault interface {
	Retryable() bool           // the same send may succeed later
	Reason() string            // stable word for metrics and logs, such as "unauthorized"
	AllowanceGone() bool       // WeChat takes no more for this customer until he acts
	MaybeSent() bool           // it is not certain that the message was not taken
	RetryAfter() time.Duration // at least this long before a repetition; 0 = as you like
}

// A Backoff is the pause between repetitions: random up to Base, twice that
// after each further failure, never over Cap.
type Backoff struct{ Base, Cap time.Duration }

func (b Backoff) orDefault() Backoff {
	if b.Base <= 0 {
		b.Base = 200 * time.Millisecond
	}
	if b.Cap <= 0 {
		b.Cap = 30 * time.Second
	}
	return b
}

// delay gives the pause after so many earlier failures, at least the given time.
func (b Backoff) delay(fails int, least time.Duration) time.Duration {
	ceiling := min(b.Base, b.Cap)
	for range fails {
		if ceiling > b.Cap/2 {
			ceiling = b.Cap
			break
		}
		ceiling *= 2
	}
	d := rand.N(ceiling + 1)
	if d < least {
		return least + rand.N(b.Base+1)
	}
	return d
}

// decide sends a lane's head, or finds why not to. The error, if any, is what
// the verdict is due to.
func (o *Outbox) decide(ctx context.Context, lane kefu.Lane, admitted bool) (kefu.Verdict, error) {
	d, now := lane.Delivery, o.now()
	left := lane.Lease.Sub(now) - o.lease/3 // the last third is for telling the queue
	switch {
	case expired(d, now):
		return unsent(lane, kefu.OutcomeDropped, reasonExpired), nil
	case ctx.Err() != nil:
		return putBack(lane, reasonStopping, now), nil
	case !admitted:
		return putBack(lane, reasonBusy, o.pool.turn(d.To.App, now)), nil
	case left <= 0:
		return putBack(lane, reasonLate, now), nil
	case d.Words.Unreadable:
		return unsent(lane, kefu.OutcomeBuried, reasonUnreadable), nil
	}
	note, err := o.compose(d)
	switch {
	case err != nil, note.refusal != "" && said(d):
		return unsent(lane, kefu.OutcomeBuried, note.refusal), err
	case note.refusal != "":
		return unsent(lane, kefu.OutcomeDropped, note.refusal), nil
	case !lane.Allowed && d.Answers() && lane.Over:
		return unsent(lane, kefu.OutcomeBuried, reasonOver), nil
	case !lane.Allowed && d.Answers():
		return putBack(lane, reasonNoAllowance, now.Add(waitAnswer)), nil
	case !lane.Allowed:
		again := now.Add(waitLeast + rand.N(waitMost-waitLeast))
		return putBack(lane, reasonNoAllowance, earlier(d.Expires, again)), nil
	}
	// It does not end with ctx: a message on its way when the process is told to
	// stop is better waited for than guessed at.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancel()
	err = o.send(within, d.To, note)
	return o.judge(d, err), err
}

// said reports whether a delivery is what people said to each other, which is
// never dropped.
func said(d kefu.Delivery) bool { return d.Answers() || len(d.Lines) > 0 }

func (o *Outbox) send(ctx context.Context, to kefu.CustomerID, note draft) error {
	return safely(func() error {
		if note.media != (kefu.Media{}) {
			return o.sender.SendImage(ctx, to, note.media)
		}
		return o.sender.SendText(ctx, to, note.text)
	})
}

// takenBack is how long lines to an agent that could not be sent are left alone: as long as the
// relay may take to withdraw one. Whoever waits for one does so meanwhile, and brings the customer to another: if it was sent in between,
// both would have it, and the agent perhaps twice.
const takenBack = 300 * time.Millisecond

// judge gives the verdict on a delivery that was tried.
func (o *Outbox) judge(d kefu.Delivery, err error) kefu.Verdict {
	if err == nil {
		return kefu.Verdict{Outcome: kefu.OutcomeSent, Ledger: kefu.LedgerSpent}
	}
	fault := faultOf(err)
	v := kefu.Verdict{Outcome: kefu.OutcomeBuried, Ledger: kefu.LedgerRefund, Reason: fault.Reason(), Code: codeOf(err)}
	if fault.MaybeSent() {
		v.Ledger = kefu.LedgerSpent
	}
	if v.Reason == "" {
		v.Reason = reasonUnknown
	}
	now, least := o.now(), fault.RetryAfter()
	if len(d.Lines) > 0 {
		least = max(least, takenBack)
	}
	due := now.Add(o.backoff.delay(d.Attempts, least))
	switch {
	case fault.AllowanceGone() && (len(d.Lines) > 0 || d.More):
		// Held for the agent until he writes.
		v.Outcome, v.Ledger, v.Due = kefu.OutcomeWait, kefu.LedgerEmpty, now
	case fault.AllowanceGone() && d.Answers() && v.Reason != reasonOver:
		v.Outcome, v.Ledger, v.Due = kefu.OutcomeWait, kefu.LedgerEmpty, now
	case fault.AllowanceGone() && d.Answers():
		v.Ledger = kefu.LedgerEmpty
	case fault.AllowanceGone():
		v.Outcome, v.Ledger, v.Reason = kefu.OutcomeDropped, kefu.LedgerEmpty, reasonNoAllowance
	case !fault.Retryable():
		// buried
	case expired(d, now):
		v.Outcome, v.Reason = kefu.OutcomeDropped, reasonExpired
	case d.Attempts+1 >= o.maxAttempts && !(d.Answers() && now.Before(d.At.Add(o.insist))):
		v.Reason = reasonAttempts
	case expired(d, due):
		v.Outcome, v.Reason = kefu.OutcomeDropped, reasonExpired
	default:
		// The next try reserves for itself: a delivery takes one message of the
		// allowance, however often it is tried. If WeChat counted this try after
		// all, it says so in time, by refusing.
		v.Outcome, v.Due, v.Ledger, v.Doubt = kefu.OutcomeRetry, due, kefu.LedgerRefund, fault.MaybeSent()
	}
	return v
}

// unsent ends a delivery that was not tried.
func unsent(lane kefu.Lane, outcome kefu.Outcome, reason string) kefu.Verdict {
	return kefu.Verdict{Outcome: outcome, Ledger: unused(lane), Reason: reason}
}

// putBack leaves a delivery that was not tried to be looked at again.
func putBack(lane kefu.Lane, reason string, due time.Time) kefu.Verdict {
	return kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: unused(lane), Due: due, Reason: reason}
}

// unused refunds what was reserved; for a lane without allowance nothing was.
func unused(lane kefu.Lane) kefu.Ledger {
	if lane.Allowed {
		return kefu.LedgerRefund
	}
	return kefu.LedgerSpent
}

// expired reports whether a delivery is useless; without Expires it never is.
func expired(d kefu.Delivery, at time.Time) bool {
	return !d.Expires.IsZero() && !at.Before(d.Expires)
}

func earlier(a, b time.Time) time.Time {
	if !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}
