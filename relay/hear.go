package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kefud/kefu"
)

// hearAgain is the pause between two looks at a message that another is at.
const hearAgain = 50 * time.Millisecond

// Route answers a push of a switchboard. It returns a decision whatever happens:
// a passive text for the agent, or nothing but that it was received.
func (r *Relay) Route(ctx context.Context, m *kefu.Message) kefu.Decision {
	now := r.Now()
	d := kefu.Decision{Answer: kefu.Answer{Way: kefu.WaySuccess}, At: now, Reason: kefu.ReasonIgnored}
	if m.Customer.User == "" || m.Kind == kefu.KindEvent || m.Kind == kefu.KindEnter || m.Kind == kefu.KindUnknown {
		return d
	}
	h := hearing{Relay: r, m: *m, at: now, texts: r.texts(m.Customer.App)}
	reply, err := h.safely(ctx)
	d.Agent, d.Reason, d.Repeat = h.agent, kefu.ReasonHeard, h.repeat
	if h.agent == "" {
		d.Reason = kefu.ReasonStranger
	}
	if h.repeat {
		d.Reason = kefu.ReasonRepeat
	}
	if !h.first.IsZero() {
		d.At = h.first
	}
	if err != nil {
		d.Degraded, d.Cause, d.Err = true, kefu.CauseStore, err
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			d.Cause = kefu.CauseBudget
		case errors.As(err, new(*panicError)):
			d.Cause = kefu.CausePanic
		}
		if m.Kind != kefu.KindFollow && m.Kind != kefu.KindUnfollow {
			reply = h.texts.Render(kefu.TextTrouble, kefu.TextData{})
		}
	}
	if reply != "" {
		d.Answer = kefu.Answer{Way: kefu.WayText, Agent: h.agent, Text: reply}
	}
	return d
}

// hearing is one message of a chat on its way through the relay.
type hearing struct {
	*Relay
	m     kefu.Message
	at    time.Time
	texts kefu.Texts
	agent kefu.AgentID

	repeat bool
	first  time.Time
	heard  kefu.Heard
	said   kefu.Open // the conversation that was answered; zero = none
}

// hear finds out whose chat it is and does what the message asks for. It gives
// what the agent is told, "" for nothing.
func (h *hearing) hear(ctx context.Context) (string, error) {
	h.agent = h.Board.AgentOf(h.m.Customer)
	if h.agent == "" {
		var err error
		if h.agent, err = h.Store.Whose(ctx, h.m.Customer); err != nil {
			return "", fmt.Errorf("whose chat: %w", err)
		}
		if a := h.Table().Agent(h.agent); a == nil || a.Relay.App != h.m.Customer.App || a.Relay.User != "" {
			h.agent = "" // bound to somebody who has left, or to whom the configuration gives another chat
		}
	}
	c, err := h.read(ctx)
	if err != nil {
		return "", err
	}
	for {
		if h.heard, err = h.Store.Hear(ctx, h.request(c)); err != nil {
			return "", fmt.Errorf("hear: %w", err)
		}
		h.first = h.heard.First
		if !h.heard.Repeat {
			break
		}
		if reply, done, err := h.again(ctx); done || err != nil {
			h.repeat = true
			return reply, err
		}
		h.at = h.Now() // it is this push's to act on
	}
	h.announceIfNews(ctx)
	reply, err := h.act(ctx, c)
	if err != nil {
		return "", err
	}
	end := kefu.Hearsay{
		Chat: h.m.Customer, Key: h.m.Key, First: h.first, At: h.at, Reply: reply, Label: h.said.Label, Customer: h.said.Customer,
	}
	if err := h.Store.Reply(ctx, end); err != nil {
		// What was asked for is done. A repeat finds it done and says so again.
		h.Logger.Warn().Err(err).Str("agent", string(h.agent)).Msg("reply to agent not kept for repeats")
	}
	return reply, nil
}

// read makes a command of the message. An agent's own words may look like the
// code of an invitation; only one that there is, or was, is none of his words.
func (h *hearing) read(ctx context.Context) (command, error) {
	if h.m.Kind != kefu.KindText {
		return command{verb: verbSay, text: h.m.Text}, nil
	}
	c := parse(h.m.Text, h.knows)
	code, ok := NormalizeCode(c.text)
	if !ok || h.agent == "" || (c.verb != verbSay && c.verb != verbSpace) {
		return c, nil
	}
	switch invited, err := h.Store.Invited(ctx, h.m.Customer.App, code); {
	case err != nil:
		return c, fmt.Errorf("look for an invitation: %w", err)
	case invited:
		return command{verb: verbCode, text: code}, nil
	}
	return c, nil
}

func (h *hearing) request(c command) kefu.Hearing {
	app := h.Table().App(h.m.Customer.App)
	q := kefu.Hearing{
		Chat: h.m.Customer, Key: h.m.Key, At: h.at, Said: h.m.At, Idle: h.conversationIdle(), Takeover: h.Budget,
		Silent: h.agent == "" || h.m.Kind == kefu.KindUnfollow || h.m.Kind == kefu.KindFollow,
	}
	if app != nil {
		q.Allowance = app.Allowance
	}
	carried := h.m.Kind == kefu.KindText || h.m.Kind == kefu.KindImage
	if h.agent != "" && carried && c.targets() {
		q.Target, q.Label, q.Select = true, c.label, c.selects()
	}
	return q
}

// conversationIdle is how long a conversation may be silent and still be the
// only open one of a chat: the longest of the apps whose customers come there.
func (h *hearing) conversationIdle() time.Duration {
	longest := time.Duration(0)
	table := h.Table()
	for i := range table.Apps {
		if !table.Apps[i].Switchboard {
			longest = max(longest, table.Apps[i].Idle)
		}
	}
	return longest
}

// again gives what was answered to a message that was heard before, once it has
// been. False means that whoever heard it never came to an end: it is to be heard
// anew.
func (h *hearing) again(ctx context.Context) (string, bool, error) {
	reply, done := h.heard.Reply, h.heard.Done
	for !done {
		if err := pause(ctx, hearAgain); err != nil {
			return "", false, err
		}
		if h.Now().Sub(h.first) > h.Budget {
			return "", false, nil
		}
		var err error
		if reply, done, err = h.Store.HeardReply(ctx, h.m.Customer, h.m.Key); err != nil {
			return "", false, err
		}
	}
	return reply, true, nil
}

// announceIfNews tells the replicas that the agent can be sent something for
// longer than they know.
func (h *hearing) announceIfNews(ctx context.Context) {
	if h.agent == "" {
		return
	}
	if h.m.Kind != kefu.KindUnfollow {
		h.seen.note(h.agent, h.at)
	}
	if !h.heard.Announce {
		return
	}
	c := h.heard.Chat
	c.Agent = h.agent
	if err := h.announce(ctx, c); err != nil {
		h.Logger.Warn().Err(err).Str("agent", string(h.agent)).Msg("agent's chat not announced")
	}
}

// act does what the message asks for.
func (h *hearing) act(ctx context.Context, c command) (string, error) {
	app := h.m.Customer.App
	switch {
	case h.agent == "":
		return h.stranger(ctx)
	case h.m.Kind == kefu.KindUnfollow:
		h.metrics.heard.WithLabelValues(string(app), "unfollow").Inc()
		return "", h.gone(ctx)
	case h.m.Kind == kefu.KindFollow:
		h.metrics.heard.WithLabelValues(string(app), "follow").Inc()
		return h.back(ctx)
	case h.m.Kind != kefu.KindText && h.m.Kind != kefu.KindImage:
		h.metrics.heard.WithLabelValues(string(app), "cannot").Inc()
		return h.texts.Render(kefu.TextCannot, kefu.TextData{}), nil
	}
	h.metrics.heard.WithLabelValues(string(app), c.verb.String()).Inc()
	if h.heard.Chat.State == kefu.ChatGone && c.verb != verbOffline {
		// Who writes has not unfollowed; the event that would tell so was lost.
		if err := h.setState(ctx, h.agent, h.m.Customer, kefu.ChatOffline); err != nil {
			return "", err
		}
	}
	return h.do(ctx, c)
}

// gone takes note of an agent who has unfollowed the account: he is offline at
// once, and whoever waits for him is brought to somebody else.
func (h *hearing) gone(ctx context.Context) error {
	if err := h.setState(ctx, h.agent, h.m.Customer, kefu.ChatGone); err != nil {
		return err
	}
	return h.hurryAll(ctx, h.agent, h.heard.Opens)
}

// back welcomes an agent who follows the account again.
func (h *hearing) back(ctx context.Context) (string, error) {
	if h.heard.Chat.State == kefu.ChatGone {
		if err := h.setState(ctx, h.agent, h.m.Customer, kefu.ChatOffline); err != nil {
			return "", err
		}
	}
	return h.texts.Render(kefu.TextWelcome, kefu.TextData{Agent: h.name(h.agent)}), nil
}

// hurryAll has the customers of conversations moved who wait for an agent.
func (r *Relay) hurryAll(ctx context.Context, agent kefu.AgentID, opens []kefu.Open) error {
	var errs []error
	for _, o := range opens {
		if _, err := r.Store.Hurry(ctx, o.Customer, agent); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
