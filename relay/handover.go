package relay

import (
	"context"
	"fmt"
	"time"

	"kefud/kefu"
)

// nothingSaid comes before all sayings.
const nothingSaid = "0-0"

// Handover writes a conversation down for an agent's chat, with what was said in
// it, and gives the last saying of that. It does not wait until he has it. With
// h.After it brings him what the customer has said since, if anything.
func (r *Relay) Handover(ctx context.Context, h kefu.Handover) (string, error) {
	last, err := r.handover(ctx, h)
	if err != nil && h.After != "" {
		r.Logger.Warn().Err(err).Stringer("customer", h.Customer).Str("agent", string(h.Agent)).Msg("what was said during a handover not brought")
	}
	return last, err
}

func (r *Relay) handover(ctx context.Context, h kefu.Handover) (string, error) {
	chat := r.Board.Chat(h.Agent)
	if chat.ID.User == "" {
		return "", errNoChat
	}
	said, err := r.Store.Sayings(ctx, h.Customer, contextSayings)
	if err != nil {
		return "", fmt.Errorf("read what was said: %w", err)
	}
	p := kefu.Posting{
		Chat: chat.ID, Customer: h.Customer, Entry: h.Entry, At: h.At, Idle: r.idle(h.Customer.App), Waits: true,
		Taken: h.After != "",
	}
	if h.After == "" {
		p.Lines, p.Last = r.context(chat.ID.App, h, said)
	} else {
		p.Lines, p.Last = r.since(chat.ID.App, h.After, said)
	}
	if len(p.Lines) > 0 {
		posted, err := r.Store.Post(ctx, p)
		if err != nil {
			return "", err
		}
		if posted.State != kefu.PostWritten {
			return "", errRefused
		}
	}
	if len(said) == 0 {
		return nothingSaid, nil
	}
	return said[len(said)-1].ID, nil
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
		Chat: chat.ID, Customer: h.Customer, At: h.At, Idle: r.idle(h.Customer.App), Taken: true, Missed: missed,
		To: texts.Render(kefu.TextTo, kefu.TextData{Agent: to}), Keeps: h.Agent == "" || h.Unread, Brought: h.Brought,
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
