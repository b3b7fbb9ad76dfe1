package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kefud/kefu"
)

// do does what a bound agent asks for.
func (h *hearing) do(ctx context.Context, c command) (string, error) {
	switch c.verb {
	case verbOnline:
		return h.state(ctx, kefu.ChatOnline, kefu.TextOnline)
	case verbOffline:
		return h.state(ctx, kefu.ChatOffline, kefu.TextOffline)
	case verbBusy:
		return h.state(ctx, kefu.ChatBusy, kefu.TextBusy)
	case verbList:
		return h.list(), nil
	case verbHelp:
		return h.texts.Render(kefu.TextHelp, kefu.TextData{}), nil
	case verbSpace:
		return h.texts.Render(kefu.TextSpace, kefu.TextData{Label: c.label}), nil
	case verbCode:
		return h.bind(ctx, c.text)
	case verbSay, verbSelect, verbHistory, verbClose, verbTransfer:
	}
	if h.heard.State != kefu.SelectFound {
		return h.noTarget(c), nil
	}
	switch c.verb {
	case verbSelect:
		h.hint(ctx, h.heard.Target.Customer)
		return h.texts.Render(kefu.TextSelected, h.data(kefu.TextData{})), nil
	case verbHistory:
		h.hint(ctx, h.heard.Target.Customer)
		return h.history(ctx)
	case verbClose:
		return h.close(ctx)
	case verbTransfer:
		return h.transfer(ctx, c.to)
	case verbSay, verbSpace, verbOnline, verbOffline, verbBusy, verbList, verbHelp, verbCode:
	}
	return h.say(ctx, c)
}

// data adds the conversation that is meant to a text's data.
func (h *hearing) data(d kefu.TextData) kefu.TextData {
	t := h.heard.Target
	d.Label, d.Entry = t.Label, h.entry(t.Customer.App, t.Entry)
	return d
}

// noTarget tells why a message went to nobody.
func (h *hearing) noTarget(c command) string {
	switch h.heard.State {
	case kefu.SelectMany:
		return h.texts.Render(kefu.TextWhich, kefu.TextData{Text: h.rows()})
	case kefu.SelectUnknown:
		return h.texts.Render(kefu.TextNoLabel, kefu.TextData{Label: c.label})
	case kefu.SelectLost:
		if h.heard.LostTo == "" {
			return h.texts.Render(kefu.TextNoLabel, kefu.TextData{Label: h.heard.Lost})
		}
		return h.texts.Render(kefu.TextLost, kefu.TextData{Label: h.heard.Lost, Text: h.heard.LostTo, Other: h.heard.Target.Label})
	case kefu.SelectNone, kefu.SelectFound:
	}
	return h.texts.Render(kefu.TextNobody, kefu.TextData{})
}

// running counts the conversations that are not over.
func (h *hearing) running() int {
	n := 0
	for _, o := range h.heard.Opens {
		if !o.Over {
			n++
		}
	}
	return n
}

func (h *hearing) state(ctx context.Context, state kefu.ChatState, text kefu.TextKind) (string, error) {
	if err := h.setState(ctx, h.agent, h.m.Customer, state); err != nil {
		return "", fmt.Errorf("set state: %w", err)
	}
	return h.texts.Render(text, kefu.TextData{Left: h.running(), Agent: h.name(h.agent)}), nil
}

func (h *hearing) list() string {
	if h.running() == 0 && len(h.heard.Opens) == 0 {
		return h.texts.Render(kefu.TextList, kefu.TextData{})
	}
	return h.texts.Render(kefu.TextList, kefu.TextData{Left: h.running()}) + "\n" + h.rows()
}

// replyBytes is what a passive reply holds; see partBytes.
const replyBytes = 2000

// rows lists the conversations: label, entry, how long the customer has waited,
// his last words. What does not fit is left out from the end.
func (h *hearing) rows() string {
	var b strings.Builder
	for _, o := range h.heard.Opens {
		row := h.row(o) + "\n"
		const room = 300 // for the text around the rows
		if b.Len()+len(row) > replyBytes-room {
			b.WriteString("…")
			break
		}
		b.WriteString(row)
	}
	return strings.TrimRight(b.String(), "\n")
}

// row is one line of the list.
func (h *hearing) row(o kefu.Open) string {
	d := kefu.TextData{Label: o.Label, Entry: h.entry(o.Customer.App, o.Entry), Selected: o.Selected, Text: h.texts.Say(o.Line)}
	if !o.Waiting.IsZero() {
		since := max(h.at.Sub(o.Waiting), 0)
		d.Waited = h.texts.Render(kefu.TextWaited, kefu.TextData{
			Hours: int(since / time.Hour), Minutes: int(since / time.Minute), Seconds: int(since / time.Second),
		})
	}
	return h.texts.Render(kefu.TextRow, d)
}

// historySayings is how many lines of a history are shown, if they fit.
const historySayings = 20

func (h *hearing) history(ctx context.Context) (string, error) {
	all, err := h.Store.Sayings(ctx, h.heard.Target.Customer, historySayings)
	if err != nil {
		return "", fmt.Errorf("read history: %w", err)
	}
	var lines []string
	bytes := 0
	for _, s := range slices.Backward(all) {
		line := s.At.In(time.Local).Format("15:04 ") + h.show(h.texts, s)
		if bytes += len(line) + 1; bytes > replyBytes && len(lines) > 0 {
			break
		}
		lines = append(lines, cut(line, replyBytes))
	}
	if len(lines) == 0 {
		return h.texts.Render(kefu.TextNoHistory, h.data(kefu.TextData{})), nil
	}
	slices.Reverse(lines)
	return strings.Join(lines, "\n"), nil
}

// cut gives the text, or as many whole characters of it as fit.
func cut(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	return whole(s, bytes) + "…"
}

// close ends the conversation that is meant, and tells the customer.
func (h *hearing) close(ctx context.Context) (string, error) {
	t := h.heard.Target
	closing := kefu.Closing{Customer: t.Customer, Agent: h.agent, At: h.at}
	if app := h.Table().App(t.Customer.App); app != nil && app.Notices.Has(kefu.NoticeClosed) {
		closing.Notice = &kefu.Delivery{
			To: t.Customer, Notice: kefu.NoticeClosed, Entry: t.Entry, Agent: h.agent, At: h.at, Expires: h.at.Add(noticeUseful),
		}
	}
	if _, err := h.Store.End(ctx, closing); err != nil {
		return "", fmt.Errorf("end conversation: %w", err)
	}
	left, err := h.leave(ctx, kefu.Leaving{Keeps: true})
	if err != nil {
		return "", err
	}
	return h.texts.Render(kefu.TextClosed, h.data(kefu.TextData{Other: left.Only})), nil
}

// noticeUseful is how long the customer is still told that a conversation ended.
const noticeUseful = 5 * time.Minute

// leave takes the conversation that is meant out of the agent's chat, as he wants
// it himself. What the customer has just said, and nobody has read, is kept for
// him if nobody else has the conversation.
func (h *hearing) leave(ctx context.Context, l kefu.Leaving) (kefu.Left, error) {
	l.Chat, l.Customer, l.At, l.Idle = h.m.Customer, h.heard.Target.Customer, h.at, h.conversationIdle()
	left, err := h.Store.Leave(ctx, l)
	if err != nil {
		return kefu.Left{}, fmt.Errorf("leave conversation: %w", err)
	}
	return left, nil
}

// transfer gives the conversation that is meant to another agent, or to the
// first of a group who can take it.
func (h *hearing) transfer(ctx context.Context, to string) (string, error) {
	t := h.heard.Target
	targets := h.targets(t.Customer.App, to)
	if len(targets) == 0 {
		return h.texts.Render(kefu.TextNoSuch, kefu.TextData{Code: to, Text: h.choice(t.Customer.App)}), nil
	}
	moved, err := h.Move(ctx, kefu.Move{Customer: t.Customer, From: h.agent, To: targets, At: h.at})
	switch {
	case err != nil:
		return "", err
	case moved.Changed:
		return h.lost(ctx, moved.Agent)
	case moved.Stays:
		reason := h.texts.Render(kefu.TextReason, kefu.TextData{Code: string(moved.Reason)})
		return h.texts.Render(kefu.TextNotHanded, h.data(kefu.TextData{Agent: h.called(to), Reason: reason})), nil
	}
	left, err := h.leave(ctx, kefu.Leaving{Brought: moved.Brought})
	if err != nil {
		return "", err
	}
	return h.texts.Render(kefu.TextHanded, h.data(kefu.TextData{Agent: h.name(moved.Agent), Other: left.Only})), nil
}

// lost tells the agent that the conversation he means is somebody else's. It
// leaves his chat, unless it is on its way to him again: then what he has not had
// of it must not be taken out.
func (h *hearing) lost(ctx context.Context, to kefu.AgentID) (string, error) {
	name := ""
	if to != "" {
		name = h.name(to)
	}
	word := h.texts.Render(kefu.TextTo, kefu.TextData{Agent: name})
	var left kefu.Left
	comes, err := h.comesAgain(ctx)
	if err == nil && !comes {
		left, err = h.leave(ctx, kefu.Leaving{Keeps: true}) // it is not certain that somebody else was given what he has not had
	}
	if err != nil {
		return "", err
	}
	return h.texts.Render(kefu.TextLost, h.data(kefu.TextData{Text: word, Other: left.Only})), nil
}

// comesAgain reports whether something of the conversation that is meant was
// written down for the agent so lately that it may not have been settled yet
// whose it is.
func (h *hearing) comesAgain(ctx context.Context) (bool, error) {
	opens, err := h.Store.Opens(ctx, h.m.Customer, h.Now(), h.conversationIdle())
	if err != nil {
		return false, fmt.Errorf("read conversations: %w", err)
	}
	for _, o := range opens {
		if o.Customer == h.heard.Target.Customer {
			return h.Now().Sub(o.Last) <= h.Budget, nil
		}
	}
	return false, nil
}
