package relay

import (
	"context"
	"strings"
	"unicode/utf8"

	"kefud/kefu"
)

// partBytes is how much of a customer's text goes into one message to an agent.
// How much WeChat takes is not documented for custom/send; for passive replies it
// is 2048 bytes, and a longer one is reported to be refused with 45002.
const partBytes = 1600

// describe makes the lines of a customer's message, for the chats of a
// switchboard. What cannot be carried is described.
func (r *Relay) describe(board kefu.AppID, m kefu.Message) []kefu.Line {
	texts, ref := r.texts(board), saying(kefu.FromCustomer, m.Key)
	var lines []kefu.Line
	switch m.Kind {
	case kefu.KindText:
		lines = parts(m.Text)
	case kefu.KindImage:
		lines = append(parts(texts.Render(kefu.TextImage, kefu.TextData{})), picture(m))
	case kefu.KindCard:
		lines = parts(texts.Render(kefu.TextCard, kefu.TextData{Text: m.Title, Page: m.Page}))
		if m.MediaID != "" {
			lines = append(lines, picture(m))
		}
	case kefu.KindUnknown, kefu.KindMedia, kefu.KindEnter, kefu.KindEvent, kefu.KindFollow, kefu.KindUnfollow:
		lines = parts(texts.Render(kefu.TextMedia, kefu.TextData{Code: m.Type}))
	}
	for i := range lines {
		lines[i].Ref = ref
	}
	return lines
}

// picture is the line of a message's picture; where it cannot be had, its
// address on WeChat's servers stands for it.
func picture(m kefu.Message) kefu.Line {
	return kefu.Line{Words: kefu.Words{Text: m.URL, Media: kefu.Media{App: m.Customer.App, ID: m.MediaID}}}
}

// saying is what a saying is known by in its transcript.
func saying(d kefu.Direction, key kefu.MessageKey) string { return string(d[:1]) + ":" + string(key) }

// parts cuts a text into lines that fit into a message each, at line breaks or
// spaces where there are any.
func parts(text string) []kefu.Line {
	var lines []kefu.Line
	for {
		cut := len(text)
		if cut > partBytes {
			cut = partBytes
			for !utf8.RuneStart(text[cut]) {
				cut--
			}
		}
		lines = append(lines, kefu.Line{Words: kefu.Words{Text: text[:cut]}, Part: len(lines) > 0})
		if text = text[cut:]; text == "" {
			return lines
		}
	}
}

// What a handover tells of a conversation: all that waits for an answer, and a
// little of what was said before.
const (
	contextSayings = 20
	contextBefore  = 4
)

// context makes the lines by which an agent learns what was said in a
// conversation that comes from another. Besides is a saying that he is sent
// anyway. There is always a line; the text is what the customer said last.
func (r *Relay) context(ctx context.Context, board kefu.AppID, h kefu.Handover, besides string) ([]kefu.Line, string) {
	texts := r.texts(board)
	head := texts.Render(kefu.TextFrom, kefu.TextData{Agent: r.name(h.From), Entry: r.entry(h.Customer.App, h.Entry)})
	all, err := r.Store.Sayings(ctx, h.Customer, contextSayings)
	if err != nil {
		r.Logger.Warn().Err(err).Stringer("customer", h.Customer).Msg("what was said before not read")
	}
	var kept []kefu.Saying
	for _, s := range all {
		if s.Ref != besides {
			kept = append(kept, s)
		}
	}
	first := unanswered(kept)
	from := max(0, first-contextBefore)
	said, last := []string{head}, ""
	var pictures []kefu.Line
	for i, s := range kept[from:] {
		said = append(said, r.show(texts, s))
		if s.Direction == kefu.FromCustomer {
			last = s.Text
		}
		if s.Picture && from+i >= first {
			pictures = append(pictures, kefu.Line{Words: kefu.Words{Text: s.Text, Media: s.Media}})
		}
	}
	return append(parts(strings.Join(said, "\n")), pictures...), last
}

// unanswered finds the first of the sayings at the end that are the customer's.
func unanswered(all []kefu.Saying) int {
	i := len(all)
	for i > 0 && all[i-1].Direction == kefu.FromCustomer {
		i--
	}
	return i
}

// show gives one saying as a line of a history.
func (r *Relay) show(texts kefu.Texts, s kefu.Saying) string {
	d := kefu.TextData{Text: s.Text}
	if s.Picture {
		d.Text = texts.Render(kefu.TextImage, kefu.TextData{})
	}
	if s.Direction == kefu.FromAgent {
		d.Agent = r.name(s.Agent)
	}
	return texts.Render(kefu.TextSaying, d)
}
