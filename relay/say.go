package relay

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"kefud/kefu"
)

// words are what the agent wrote, in as many messages as it takes; none for what
// cannot be carried.
func (h *hearing) words(c command) []kefu.Words {
	switch {
	case h.m.Kind == kefu.KindImage && h.m.MediaID != "":
		return []kefu.Words{{Text: h.m.URL, Media: kefu.Media{App: h.m.Customer.App, ID: h.m.MediaID}}}
	case h.m.Kind == kefu.KindImage || c.text == "":
		return nil
	}
	var words []kefu.Words
	for _, part := range cutParts(c.text, answerBytes) {
		words = append(words, kefu.Words{Text: part})
	}
	return words
}

// say owes the customer what the agent wrote.
func (h *hearing) say(ctx context.Context, c command) (string, error) {
	t, words := h.heard.Target, h.words(c)
	if len(words) == 0 {
		return h.texts.Render(kefu.TextCannot, kefu.TextData{}), nil
	}
	if words[0].Media.ID != "" {
		h.hint(ctx, t.Customer) // a picture takes a while
	}
	u := kefu.Utterance{
		Customer: t.Customer, Agent: h.agent, Key: h.m.Key, At: h.Now(), Idle: h.idle(t.Customer.App), Keep: h.keep(t.Customer.App),
	}
	var said kefu.Said
	for i, w := range words {
		if u.Words = w; i > 0 {
			u.Key = h.m.Key + kefu.MessageKey(":"+strconv.Itoa(i))
		}
		var err error
		if said, err = h.utter(ctx, u); err != nil {
			return "", fmt.Errorf("say: %w", err)
		}
		if said.State != kefu.SaidOwed && said.State != kefu.SaidWaits {
			break
		}
	}
	switch said.State {
	case kefu.SaidNotHis:
		return h.lost(ctx, said.Agent)
	case kefu.SaidTooLate:
		return h.texts.Render(kefu.TextTooLate, h.data(kefu.TextData{})), nil
	case kefu.SaidWaits:
		h.said = t
		return h.texts.Render(kefu.TextFull, h.data(kefu.TextData{})), nil
	case kefu.SaidOwed:
	}
	h.said = t
	const short = 2 // messages left, from which on he is told
	if said.Left <= short {
		return h.texts.Render(kefu.TextLeft, h.data(kefu.TextData{Left: said.Left})), nil
	}
	return "", nil
}

// A message reaches its agent a moment before the conversation is written down as
// his. An answer within that moment is offered again.
const (
	settleTries = 5
	settlePause = 100 * time.Millisecond
)

// utter owes the customer an answer, if the conversation is the agent's, or is
// just about to be.
func (h *hearing) utter(ctx context.Context, u kefu.Utterance) (kefu.Said, error) {
	for try := 1; ; try++ {
		said, err := h.Store.Say(ctx, u)
		if err != nil || said.State != kefu.SaidNotHis || try == settleTries || h.at.Sub(h.heard.Target.Last) > h.Budget {
			return said, err
		}
		if err := pause(ctx, settlePause); err != nil {
			return said, nil
		}
	}
}
