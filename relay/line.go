package relay

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"kefud/kefu"
)

// How much of a text goes into one message. What WeChat takes is not documented
// for custom/send; for passive replies it is 2048 bytes, and a longer one is
// reported to be refused with 45002.
const (
	answerBytes = 2048
	partBytes   = 1600 // to an agent: label, entry and hints go along
)

// describe makes the lines of a customer's message, for the chats of a
// switchboard. What cannot be carried is described.
func (r *Relay) describe(board kefu.AppID, m kefu.Message) []kefu.Line {
	texts, ref := r.texts(board), kefu.FromCustomer.Ref(m.Key)
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

// parts cuts a customer's text into lines that fit into a message each.
func parts(text string) []kefu.Line {
	var lines []kefu.Line
	for _, part := range cutParts(text, partBytes) {
		lines = append(lines, kefu.Line{Words: kefu.Words{Text: part}, Part: len(lines) > 0})
	}
	return lines
}

// cutParts cuts a text, so many bytes at most a part, and no character. An empty
// text is one part.
func cutParts(text string, bytes int) []string {
	var out []string
	for {
		head := whole(text, bytes)
		out = append(out, head)
		if text = text[len(head):]; text == "" {
			return out
		}
	}
}

// whole gives the beginning of a text, so many bytes at most, without a character
// that is cut. There is always something of a text that is not empty.
func whole(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	for end := bytes; end > bytes-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			return text[:end]
		}
	}
	return text[:bytes] // no text at all, but bytes
}

// What a handover tells of a conversation: all that waits for an answer, and a
// little of what was said before.
const (
	contextSayings = 100 // looked at
	contextBefore  = 4
)

// saidBefore reads what was said before a message. Without it the agent has at
// least the message.
func (r *Relay) saidBefore(ctx context.Context, m kefu.Message) []kefu.Saying {
	all, err := r.Store.Sayings(ctx, m.Customer, contextSayings)
	if err != nil {
		r.Logger.Warn().Err(err).Stringer("customer", m.Customer).Msg("what was said before not read")
	}
	itself := kefu.FromCustomer.Ref(m.Key)
	return slices.DeleteFunc(all, func(s kefu.Saying) bool { return s.Ref == itself })
}

// context makes the lines by which an agent learns what was said in a
// conversation that comes from another. There is always a line; the text is what
// the customer said last.
func (r *Relay) context(board kefu.AppID, h kefu.Handover, all []kefu.Saying) ([]kefu.Line, string) {
	texts := r.texts(board)
	head := texts.Render(kefu.TextFrom, kefu.TextData{Agent: r.name(h.From), Entry: r.entry(h.Customer.App, h.Entry)})
	first := unanswered(all)
	from := max(0, first-contextBefore)
	said, last := []string{head}, ""
	var pictures []kefu.Line
	for i, s := range all[from:] {
		said = append(said, r.show(texts, s))
		if s.Direction == kefu.FromCustomer {
			last = texts.Say(s.Words())
		}
		if s.Picture && from+i >= first {
			pictures = append(pictures, kefu.Line{Words: s.Words()})
		}
	}
	return append(parts(strings.Join(said, "\n")), pictures...), last
}

// since makes lines of what the customer said after a saying, and gives the last
// of it. A saying that is no longer there is older than all that are.
func (r *Relay) since(board kefu.AppID, after string, all []kefu.Saying) ([]kefu.Line, string) {
	var lines []kefu.Line
	last := ""
	from := slices.IndexFunc(all, func(s kefu.Saying) bool { return s.ID == after }) + 1
	for _, s := range all[from:] {
		if s.Direction != kefu.FromCustomer {
			continue
		}
		if last = r.texts(board).Say(s.Words()); s.Picture {
			last = r.texts(board).Render(kefu.TextImage, kefu.TextData{})
		}
		lines = append(lines, parts(last)...)
		if s.Picture {
			lines = append(lines, kefu.Line{Words: s.Words()})
		}
	}
	return lines, last
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
	d := kefu.TextData{Text: texts.Say(s.Words())}
	if s.Picture {
		d.Text = texts.Render(kefu.TextImage, kefu.TextData{})
	}
	if s.Direction == kefu.FromAgent {
		d.Agent = r.name(s.Agent)
	}
	return texts.Render(kefu.TextSaying, d)
}
