package relay

import (
	"context"
	"errors"
	"time"

	"kefud/kefu"
)

const (
	sendLease = 5 * time.Second // of a chat's lane, for one message
	pollLeast = 3 * time.Millisecond
	pollMost  = 30 * time.Millisecond
	dueSoon   = 400 * time.Millisecond // sooner than any lease ends that was just taken
	takeBack  = 300 * time.Millisecond // for withdrawing what could not be sent in time; so long the outbox leaves it alone
	reserve   = 500 * time.Millisecond // of the caller's time, for what has to follow a failure
)

// Why a message did not reach an agent's chat.
var (
	errNoChat    = errors.New("the agent has no chat")
	errRefused   = errors.New("the chat takes nothing new")
	errWithdrawn = errors.New("the message was given to somebody else")
	errUnsent    = errors.New("the message could not be sent")
	errLost      = errors.New("the message was refused for good, or taken out of the chat")
)

// Forward brings a customer's message to an agent's chat: it is written down
// there, and sent unless the agent can be sent nothing before he writes; then it
// is held for him. An error means that neither is so, or not in time, and that
// it was taken back; one that was on its way then may reach him all the same.
// The same push a second time is not forwarded again. Forward returns before ctx
// ends.
func (r *Relay) Forward(ctx context.Context, f kefu.Forwarding) error {
	within, cancel := withReserve(ctx)
	defer cancel()
	outcome, err := r.forward(ctx, within, f)
	if outcome != "" {
		r.metrics.forwarded.WithLabelValues(string(f.Message.Customer.App), outcome).Inc()
	}
	if err == nil && outcome == "sent" && r.seen.within(f.Agent, f.At, attentive) {
		r.hint(ctx, f.Message.Customer)
	}
	return err
}

// forward does so within a part of ctx, and takes back what could not be sent
// in the rest. It gives the outcome as metrics name it, "" for one that has been
// counted.
func (r *Relay) forward(ctx, within context.Context, f kefu.Forwarding) (string, error) {
	chat := r.Board.Chat(f.Agent)
	if chat.ID.User == "" {
		return "", errNoChat
	}
	p := r.posting(within, chat, f)
	posted, err := r.Store.Post(within, p)
	switch {
	case err != nil:
		// The answer may have been lost and the lines written: they are taken back.
		r.takeBack(ctx, p, "")
		return "failed", err
	case posted.State == kefu.PostWithdrawn:
		return "", errWithdrawn
	case posted.State == kefu.PostRefused:
		return "refused", errRefused
	}
	outcome, err := r.await(within, p, posted)
	switch {
	case errors.Is(err, errLost):
		r.takeBack(ctx, p, "") // what is left of it
	case err != nil && !r.takeBack(ctx, p, posted.Last):
		return "sent", nil // it had arrived after all
	}
	return outcome, err
}

// posting is what a forwarding comes to in the agent's chat.
func (r *Relay) posting(ctx context.Context, chat kefu.Chat, f kefu.Forwarding) kefu.Posting {
	p := kefu.Posting{
		Chat: chat.ID, Customer: f.Message.Customer, Key: f.Message.Key, Entry: f.Entry, At: f.At,
		Idle: r.idle(f.Message.Customer.App), Turn: f.Turn, Waits: true, Taken: f.Kept,
		Lines: r.describe(chat.ID.App, f.Message), Quiet: true,
	}
	p.Last = p.Lines[0].Words.Text
	if f.From != "" && f.From != f.Agent {
		before, _ := r.context(chat.ID.App, kefu.Handover{
			Customer: p.Customer, Entry: f.Entry, Agent: f.Agent, From: f.From, At: f.At,
		}, r.saidBefore(ctx, f.Message))
		p.Lines = append(before, p.Lines...)
	}
	return p
}

// takeBack withdraws a posting and reports whether it could.
func (r *Relay) takeBack(ctx context.Context, p kefu.Posting, line string) bool {
	within, cancel := context.WithTimeout(ctx, takeBack)
	defer cancel()
	taken, err := r.Store.Withdraw(within, p, line)
	return taken || err != nil // nobody knows; the next candidate gets it too
}

// await sends what the chat is owed, or waits while others do, until the posting
// has been sent or is held.
func (r *Relay) await(ctx context.Context, p kefu.Posting, posted kefu.Posted) (string, error) {
	for {
		d, err := r.Store.Draw(ctx, kefu.Draw{Chat: p.Chat, Line: posted.Last, At: r.Now(), For: sendLease})
		if err != nil {
			return "failed", err
		}
		switch d.State {
		case kefu.DrawDone, kefu.DrawEmpty:
			return r.vanished(ctx, p)
		case kefu.DrawGone:
			return "failed", errLost
		case kefu.DrawHeld:
			if !r.Board.Chat(r.Board.AgentOf(p.Chat)).Open(r.Now()) {
				return "failed", errUnsent // WeChat has just refused it, to another who sent it
			}
			return "held", nil
		case kefu.DrawWait:
			if d.PutOff && tooLate(ctx, d.Due.Sub(r.Now())) {
				return "failed", errUnsent
			}
			if err := pause(ctx, nextLook(d.Due.Sub(r.Now()))); err != nil {
				return "failed", err
			}
		case kefu.DrawMine:
			done, err := r.send(ctx, d.Lane, posted.Last)
			if done || err != nil {
				return outcomeOf(err), err
			}
		}
	}
}

// tooLate reports whether ctx ends within a time.
func tooLate(ctx context.Context, within time.Duration) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) < within
}

// nextLook is the pause until a chat's lane is looked at again: it is due then.
// One that is due soon waits for what may come with it, and is free no sooner;
// one that somebody is sending may be free at any moment.
func nextLook(due time.Duration) time.Duration {
	if due > dueSoon {
		return pollMost
	}
	return max(due, pollLeast)
}

// vanished tells what became of a posting that another has taken out of the chat: he
// has sent it, or WeChat refused it for good, or it was withdrawn.
func (r *Relay) vanished(ctx context.Context, p kefu.Posting) (string, error) {
	again, err := r.Store.Post(ctx, p) // what was written once is not written again
	if err == nil && again.State == kefu.PostWithdrawn {
		return "failed", errLost
	}
	return "sent", nil // as far as anybody can know
}

func outcomeOf(err error) string {
	if err != nil {
		return "failed"
	}
	return "sent"
}

// send delivers a lane and reports whether the line asked for was in it and has
// been sent. An error means that it cannot be sent now.
func (r *Relay) send(ctx context.Context, lane kefu.Lane, line string) (bool, error) {
	mine := false
	for _, l := range lane.Delivery.Lines {
		mine = mine || l.ID == line
	}
	v := r.Deliver(ctx, lane)
	switch v.Outcome {
	case kefu.OutcomeSent:
		return mine, nil
	case kefu.OutcomeWait:
		if unreachable(v) {
			return false, errUnsent
		}
		return false, nil // held from now on
	case kefu.OutcomeDropped, kefu.OutcomeBuried:
		if mine {
			return false, errLost
		}
		return false, nil
	case kefu.OutcomeRetry:
	}
	return false, errUnsent
}

// unreachable reports whether WeChat takes nothing for the agent, although his
// allowance says otherwise: he has blocked the account, or our clock is wrong.
func unreachable(v kefu.Verdict) bool {
	return v.Reason == "out_of_window" || v.Reason == "not_following"
}

// withReserve leaves a part of the time for what has to follow a failure.
func withReserve(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(end)
	return context.WithTimeout(ctx, left-min(left/2, reserve))
}

// pause waits, or gives the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
