package wechat

import (
	"context"
	"errors"
	"time"
)

// once does r once, unless its calls are stopped, and keeps the books.
func (c *Client) once(ctx context.Context, a *account, r request, token string, into any) *APIError {
	turn, e := a.gates[r.op].admit()
	if e == nil {
		e = a.admit(r.op)
	}
	if e != nil {
		c.meter.count(a.cred.App, r.op, e)
		return e
	}
	began := c.now()
	e = c.roundTrip(ctx, a, r, token, into)
	circuit := a.breakers[r.op]
	switch {
	case e == nil || e.answered():
		circuit.answered()
		a.stops.end(r.op, unansweredWhy)
	case ctx.Err() != nil && !c.waitedLong(ctx, began):
		circuit.abandoned()
	default:
		if circuit.unanswered() {
			kept := *e
			a.stops.begin(r.op, unansweredWhy, &kept, c.now())
		}
	}
	a.gates[r.op].settle(turn, e)
	c.meter.count(a.cred.App, r.op, e)
	c.meter.time(r.op, c.now().Sub(began))
	return e
}

// admit gives nil if the breaker lets a call pass, else why not and for how long.
func (a *account) admit(op string) *APIError {
	wait, open := a.breakers[op].admit()
	if !open {
		return nil
	}
	return &APIError{
		Op: op, App: a.cred.App, fault: faultBreaker, wait: wait, untried: true,
		Msg: "not tried, the last calls got no answer",
	}
}

// forgive takes an operation for one that is not stopped, without a call: what it
// was needed for has been had in another way.
func (a *account) forgive(op string) {
	a.gates[op].open()
	a.stops.end(op, unansweredWhy)
}

// longEnough is how long a caller has to have waited whose time ran out before the
// client's did, for WeChat to count as not answering: far longer than it takes.
const longEnough = 500 * time.Millisecond

// waitedLong reports whether a caller whose time ran out had waited for so long
// that WeChat should have answered. Calls within a callback have less time than
// others, and a WeChat that hangs must not cost each of them all of it.
func (c *Client) waitedLong(ctx context.Context, began time.Time) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) && c.now().Sub(began) >= min(longEnough, c.timeout/2)
}
