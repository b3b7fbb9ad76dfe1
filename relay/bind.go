package relay

import (
	"context"
	"fmt"
	"time"

	"kefud/kefu"
)

// stranger answers somebody who is no agent: with a line or, if he sends the
// code of an invitation, by making him one.
func (h *hearing) stranger(ctx context.Context) (string, error) {
	if h.m.Kind == kefu.KindUnfollow {
		return "", nil
	}
	code, ok := NormalizeCode(h.m.Text)
	if !ok || h.m.Kind != kefu.KindText {
		h.metrics.heard.WithLabelValues(string(h.m.Customer.App), "stranger").Inc()
		return h.texts.Render(kefu.TextStranger, kefu.TextData{}), nil
	}
	h.metrics.heard.WithLabelValues(string(h.m.Customer.App), verbCode.String()).Inc()
	return h.bind(ctx, code)
}

// bind makes the chat that of the agent who was invited by the code.
func (h *hearing) bind(ctx context.Context, code string) (string, error) {
	var window time.Duration
	if app := h.Table().App(h.m.Customer.App); app != nil {
		window = app.Allowance.AfterMessageWindow
	}
	b, err := h.Store.Bind(ctx, h.m.Customer, code, h.at, h.at.Add(window))
	if err != nil {
		return "", fmt.Errorf("bind: %w", err)
	}
	switch b.State {
	case kefu.BindTooMany:
		return h.texts.Render(kefu.TextTooMany, kefu.TextData{}), nil
	case kefu.BindWrong:
		return h.texts.Render(kefu.TextWrongCode, kefu.TextData{}), nil
	case kefu.BindTaken:
		return h.texts.Render(kefu.TextTaken, kefu.TextData{Agent: h.name(b.Agent)}), nil
	case kefu.BindDone:
	}
	// His message earns what any message of an agent does.
	h.agent = b.Agent
	earn := h.request(command{verb: verbHelp})
	earn.Key += ":bound"
	heard, err := h.Store.Hear(ctx, earn)
	if err != nil {
		return "", fmt.Errorf("hear: %w", err)
	}
	h.heard.Chat = heard.Chat
	h.heard.Announce = true
	h.announceIfNews(ctx)
	h.Logger.Info().Str("agent", string(b.Agent)).Str("switchboard", string(h.m.Customer.App)).Msg("agent's chat bound")
	return h.texts.Render(kefu.TextBound, kefu.TextData{Agent: h.name(b.Agent)}), nil
}
