package relay

import (
	"context"
	"errors"
	"strings"

	"kefud/kefu"
)

// Ended is told by the outbox what became of what people said. What was sent is
// noted in the transcript. What never will be is noted, too, and the agent is
// told; a customer's message that does not reach its agent goes to the next.
func (r *Relay) Ended(ctx context.Context, d kefu.Delivery, v kefu.Verdict) {
	if d.Answers() {
		r.answerEnded(ctx, d, v)
		return
	}
	if v.Outcome == kefu.OutcomeWait {
		if unreachable(v) {
			r.shut(ctx, d.To)
		}
		return
	}
	agent := r.Board.AgentOf(d.To)
	for _, line := range d.Lines {
		r.lineEnded(ctx, d.To, line, kefu.Mark{Ref: line.Ref, Reason: v.Reason})
		if v.Outcome == kefu.OutcomeSent || line.Of.User == "" || line.Words.Media != (kefu.Media{}) {
			continue
		}
		if err := r.refused(ctx, d.To, line, agent); err != nil {
			r.Logger.Warn().Err(err).Stringer("customer", line.Of).Msg("message refused by the agent's chat, and not moved yet")
		}
	}
}

// refused has a customer's message brought to somebody else that his agent's
// chat does not take: by whoever forwards it at this moment, who is told that it
// is withdrawn, and else by moving the conversation.
func (r *Relay) refused(ctx context.Context, chat kefu.CustomerID, line kefu.Line, agent kefu.AgentID) error {
	var errs []error
	if key, ok := strings.CutPrefix(line.Ref, kefu.FromCustomer.Ref("")); ok {
		p := kefu.Posting{Chat: chat, Customer: line.Of, Key: kefu.MessageKey(key), Turn: noTurn}
		_, err := r.Store.Withdraw(ctx, p, "")
		errs = append(errs, err)
	}
	_, err := r.Store.Hurry(ctx, line.Of, agent)
	return errors.Join(append(errs, err)...)
}

// noTurn is no line's: a posting is withdrawn whose lines are taken out by others.
const noTurn = -1

// lineEnded notes what became of a line. A picture that could not be had is
// described.
func (r *Relay) lineEnded(ctx context.Context, chat kefu.CustomerID, line kefu.Line, m kefu.Mark) {
	if m.Reason == "" {
		m.State = kefu.SayingSent
	} else {
		m.State = kefu.SayingUndeliverable
	}
	if m.Reason != "" && line.Words.Media != (kefu.Media{}) {
		text := r.texts(chat.App).Render(kefu.TextNoImage, kefu.TextData{Text: line.Words.Text})
		whole := kefu.Line{Label: line.Label, Words: kefu.Words{Text: text}}.Show(r.entry(line.Of.App, line.Entry), r.texts(chat.App))
		r.note(ctx, chat, kefu.MessageKey("picture:"+line.ID), whole)
	}
	if line.Of.User == "" || line.Ref == "" || line.Note {
		return
	}
	r.mark(ctx, line.Of, m)
}

func (r *Relay) mark(ctx context.Context, c kefu.CustomerID, m kefu.Mark) {
	m.Keep = r.keep(c.App)
	if m.Keep == 0 && m.State == kefu.SayingSent {
		return // nobody will read it
	}
	if err := r.Store.Mark(ctx, c, m); err != nil {
		r.Logger.Warn().Err(err).Stringer("customer", c).Msg("transcript not marked")
	}
}

// answerEnded tells the agent of an answer that will never be delivered.
func (r *Relay) answerEnded(ctx context.Context, d kefu.Delivery, v kefu.Verdict) {
	if v.Outcome == kefu.OutcomeSent {
		r.mark(ctx, d.To, kefu.Mark{Ref: d.Ref, State: kefu.SayingSent})
		return
	}
	if v.Outcome == kefu.OutcomeWait {
		return
	}
	r.mark(ctx, d.To, kefu.Mark{Ref: d.Ref, State: kefu.SayingUndeliverable, Reason: v.Reason})
	chat := r.Board.Chat(d.Agent)
	if chat.ID.User == "" {
		return
	}
	texts := r.texts(chat.ID.App)
	data := kefu.TextData{
		Text: cut(texts.Say(d.Words), quoted), Reason: texts.Render(kefu.TextReason, kefu.TextData{Code: v.Reason}),
	}
	if d.Words.Media != (kefu.Media{}) {
		data.Text = texts.Render(kefu.TextImage, kefu.TextData{})
	}
	opens, err := r.Store.Opens(ctx, chat.ID, r.Now(), r.idle(d.To.App))
	if err != nil {
		r.Logger.Warn().Err(err).Str("agent", string(d.Agent)).Msg("conversations of an agent's chat not read")
	}
	for _, o := range opens {
		if o.Customer == d.To {
			data.Label = o.Label
		}
	}
	r.note(ctx, chat.ID, kefu.MessageKey("answer:"+string(d.To.App)+":"+d.To.User+":"+d.ID), texts.Render(kefu.TextUndelivered, data))
}

// quoted is how much of an answer is repeated to the agent, in bytes.
const quoted = 120

// shut takes note that WeChat takes nothing for an agent any more: he is not
// there, and whoever waits for him is brought to somebody else.
func (r *Relay) shut(ctx context.Context, chat kefu.CustomerID) {
	agent := r.Board.AgentOf(chat)
	if agent == "" {
		return
	}
	c := r.Board.Chat(agent)
	c.Until = r.Now()
	err := r.Store.Shut(ctx, chat)
	if err == nil {
		err = r.announce(ctx, c)
	}
	if err != nil {
		r.Logger.Warn().Err(err).Str("agent", string(agent)).Msg("agent's chat not shut")
		return
	}
	r.Logger.Info().Str("agent", string(agent)).Msg("agent cannot be sent anything before he writes")
	opens, err := r.Store.Opens(ctx, chat, c.Until, r.idle(chat.App))
	if err == nil {
		err = r.hurryAll(ctx, agent, opens)
	}
	if err != nil {
		r.Logger.Warn().Err(err).Str("agent", string(agent)).Msg("who waits for an agent not moved yet")
	}
}
