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
	takeBack  = 300 * time.Millisecond // for withdrawing what could not be sent in time
)

// Why a message did not reach an agent's chat.
var (
	errNoChat    = errors.New("the agent has no chat")
	errRefused   = errors.New("the chat takes nothing new")
	errWithdrawn = errors.New("the message was given to somebody else")
	errUnsent    = errors.New("the message could not be sent")
)

// Forward brings a customer's message to an agent's chat: it is written down
// there, and sent unless the agent can be sent nothing before he writes; then it
// is held for him. An error means that neither is so, or not in time, and that
// it was taken back; one that was on its way then may reach him all the same.
// The same push a second time is not forwarded again.
func (r *Relay) Forward(ctx context.Context, f kefu.Forwarding) error {
	chat := r.Board.Chat(f.Agent)
	if chat.ID.User == "" {
		return errNoChat
	}
	p := kefu.Posting{
		Chat: chat.ID, Customer: f.Message.Customer, Key: f.Message.Key, Entry: f.Entry, At: f.At,
		Idle: r.idle(f.Message.Customer.App), Turn: f.Turn, Waits: true, Taken: f.Kept,
		Lines: r.describe(chat.ID.App, f.Message), Quiet: true,
	}
	p.Last = p.Lines[0].Words.Text
	if f.From != "" && f.From != f.Agent {
		before, _ := r.context(ctx, chat.ID.App, kefu.Handover{
			Customer: p.Customer, Entry: f.Entry, Agent: f.Agent, From: f.From, At: f.At,
		}, p.Lines[0].Ref)
		p.Lines = append(before, p.Lines...)
	}
	posted, err := r.Store.Post(ctx, p)
	switch {
	case err != nil:
		// The answer may have been lost and the lines written: they are taken back.
		r.takeBack(ctx, p, "")
		r.metrics.forwarded.WithLabelValues(string(p.Customer.App), "failed").Inc()
		return err
	case posted.State == kefu.PostWithdrawn:
		return errWithdrawn
	case posted.State == kefu.PostRefused:
		r.metrics.forwarded.WithLabelValues(string(p.Customer.App), "refused").Inc()
		return errRefused
	}
	outcome, err := r.await(ctx, p, posted)
	if err != nil && !r.takeBack(ctx, p, posted.Last) && !errors.Is(err, errLost) {
		outcome, err = "sent", nil // it had arrived after all
	}
	r.metrics.forwarded.WithLabelValues(string(p.Customer.App), outcome).Inc()
	if err == nil && outcome == "sent" && r.seen.within(f.Agent, f.At, attentive) {
		r.hint(ctx, p.Customer)
	}
	return err
}

// takeBack withdraws a posting and reports whether it could.
func (r *Relay) takeBack(ctx context.Context, p kefu.Posting, line string) bool {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBack)
	defer cancel()
	taken, err := r.Store.Withdraw(within, p, line)
	return taken || err != nil // nobody knows; the next candidate gets it too
}

// errLost is an errUnsent of a message that is no longer written down.
var errLost = errors.New("the message was refused for good")

// await sends what the chat is owed, or waits while others do, until the posting
// has been sent or is held.
func (r *Relay) await(ctx context.Context, p kefu.Posting, posted kefu.Posted) (string, error) {
	ctx, cancel := withReserve(ctx)
	defer cancel()
	for {
		d, err := r.Store.Draw(ctx, kefu.Draw{Chat: p.Chat, Line: posted.Last, At: r.Now(), For: sendLease})
		if err != nil {
			return "failed", err
		}
		switch d.State {
		case kefu.DrawDone, kefu.DrawEmpty:
			return "sent", nil
		case kefu.DrawHeld:
			return "held", nil
		case kefu.DrawWait:
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

// nextLook is the pause until a chat's lane is looked at again: it is due then.
// One that is due soon waits for what may come with it, and is free no sooner;
// one that somebody is sending may be free at any moment.
func nextLook(due time.Duration) time.Duration {
	if due > dueSoon {
		return pollMost
	}
	return max(due, pollLeast)
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
	return context.WithTimeout(ctx, left-min(left/4, 500*time.Millisecond))
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

// Handover writes a conversation down for an agent's chat, with what was said in
// it. It does not wait until he has it.
func (r *Relay) Handover(ctx context.Context, h kefu.Handover) error {
	chat := r.Board.Chat(h.Agent)
	if chat.ID.User == "" {
		return errNoChat
	}
	lines, last := r.context(ctx, chat.ID.App, h, "")
	posted, err := r.Store.Post(ctx, kefu.Posting{
		Chat: chat.ID, Customer: h.Customer, Entry: h.Entry, At: h.At, Idle: r.idle(h.Customer.App), Waits: true,
		Lines: lines, Last: last,
	})
	if err == nil && posted.State != kefu.PostWritten {
		err = errRefused
	}
	return err
}

// Leave takes a conversation out of an agent's chat that is no longer his. If he
// had not answered in time he is told, and the second time in a row he is busy.
func (r *Relay) Leave(ctx context.Context, h kefu.Handover, missed bool) {
	chat := r.Board.Chat(h.From)
	if chat.ID.User == "" {
		return
	}
	texts := r.texts(chat.ID.App)
	to := ""
	if h.Agent != "" {
		to = r.name(h.Agent)
	}
	left, err := r.Store.Leave(ctx, kefu.Leaving{
		Chat: chat.ID, Customer: h.Customer, At: h.At, Idle: r.idle(h.Customer.App), Missed: missed,
		To: texts.Render(kefu.TextTo, kefu.TextData{Agent: to}),
	})
	if err != nil {
		// He can say nothing in it all the same, and is told so when he tries.
		r.Logger.Warn().Err(err).Str("agent", string(h.From)).Msg("conversation not taken out of the agent's chat")
		return
	}
	if !missed || left.Label == 0 {
		return
	}
	text := texts.Render(kefu.TextMissed, kefu.TextData{Label: left.Label, Agent: to, Minutes: r.minutes(h)})
	const tooMany = 2
	if left.Misses >= tooMany && chat.State == kefu.ChatOnline {
		if err := r.setState(ctx, h.From, chat.ID, kefu.ChatBusy); err != nil {
			r.Logger.Warn().Err(err).Str("agent", string(h.From)).Msg("agent not set busy")
		} else {
			text += "\n" + texts.Render(kefu.TextTwice, kefu.TextData{}) // in one message: he has few left
		}
	}
	r.note(ctx, chat.ID, "", text)
}

// minutes is how long an agent had, rounded up.
func (r *Relay) minutes(h kefu.Handover) int {
	app := r.Table().App(h.Customer.App)
	if app == nil {
		return 0
	}
	e := app.Entry(h.Entry)
	if e == nil {
		return 0
	}
	return int((e.AnswerTimeout + time.Minute - 1) / time.Minute)
}

// setState keeps what an agent is from now on, here and at all replicas.
func (r *Relay) setState(ctx context.Context, agent kefu.AgentID, chat kefu.CustomerID, state kefu.ChatState) error {
	c, err := r.Store.SetState(ctx, chat, state)
	if err != nil {
		return err
	}
	c.Agent = agent
	return r.announce(ctx, c)
}
