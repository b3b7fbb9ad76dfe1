package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kefud/kefu"
)

// What goes out to an agent in one message.
const (
	messageBytes = 1900                   // of text, which leaves room for labels; see kefu.MaxText
	messageLines = 40                     // no more lines are joined
	lineBytes    = 120                    // counted for label, entry and the like of one line
	joinFor      = 300 * time.Millisecond // from one message to the next: a burst comes in one
	holdFor      = time.Hour              // then a lane that is held is looked at again
)

// Post writes lines down for an agent's chat: one command. If the chat takes
// nothing new, or nothing at all, it is refused. The same message of a customer
// a second time is not written again.
func (s *Store) Post(ctx context.Context, p kefu.Posting) (kefu.Posted, error) {
	part := s.keys.partition(p.Chat)
	j := job{op: "post", place: part, script: s.scripts.post}
	j.names = []string{s.keys.chat(p.Chat), s.keys.labels(p.Chat), s.keys.chatLane(p.Chat), s.keys.lanes(part), s.posted(p)}
	last, err := s.seal(p.Customer, kefu.Words{Text: shorten(p.Last)})
	if err != nil {
		return kefu.Posted{}, err
	}
	whose, kept := "", int64(0)
	if p.Customer != (kefu.CustomerID{}) {
		whose = member(p.Customer)
	}
	if p.Key != "" {
		kept = pushTTL.Milliseconds()
	}
	j.args = []any{
		millis(p.At), chatMember(p.Chat), whose, string(p.Entry), p.Idle.Milliseconds(), postMode(p), p.Turn, flag(p.Waits),
		last, chatTTL.Milliseconds(), laneTTL.Milliseconds(), kept,
	}
	for _, line := range p.Lines {
		more, err := s.lineArgs(p, line)
		if err != nil {
			return kefu.Posted{}, err
		}
		j.args = append(j.args, more...)
	}
	reply, err := s.run(ctx, j)
	if err != nil {
		return kefu.Posted{}, err
	}
	l := asList(reply)
	switch l.number(0) {
	case 1:
		return kefu.Posted{State: kefu.PostWithdrawn}, nil
	case 2:
		return kefu.Posted{State: kefu.PostRefused}, nil
	}
	if !p.Quiet {
		s.wakeUp(part)
	}
	return kefu.Posted{Last: l.text(1), Label: int(l.number(2))}, nil
}

func (s *Store) posted(p kefu.Posting) string {
	return s.keys.of("posted", p.Chat) + ":" + string(p.Customer.App) + ":" + p.Customer.User + ":" + string(p.Key)
}

func postMode(p kefu.Posting) string {
	switch {
	case len(p.Lines) > 0 && p.Lines[0].Note:
		return "note"
	case p.Taken:
		return "taken"
	}
	return "new"
}

// shorten gives the beginning of a text, for lists.
func shorten(text string) string {
	const most = 30
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// written is the part of a line that no script looks at.
type written struct {
	Words string `json:"w"` // sealed
	Ref   string `json:"r,omitempty"`
}

// lineArgs gives a line as post.lua takes it: kind, bytes, body.
func (s *Store) lineArgs(p kefu.Posting, line kefu.Line) ([]any, error) {
	if strings.Contains(string(p.Entry), "\n") {
		return nil, errors.New("a line's entry has a line break")
	}
	words, err := s.seal(p.Customer, line.Words)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(written{Words: words, Ref: line.Ref})
	if err != nil {
		return nil, fmt.Errorf("encode line: %w", err)
	}
	kind := "T"
	switch {
	case line.Note:
		kind = "N"
	case line.Words.Media != (kefu.Media{}):
		kind = "I"
	case line.Part:
		kind = "P"
	}
	return []any{kind, len(line.Words.Text) + lineBytes, string(b)}, nil
}

// Draw leases what a chat is owed next, if it may be sent now: one command.
func (s *Store) Draw(ctx context.Context, d kefu.Draw) (kefu.Drawn, error) {
	reply, err := s.run(ctx, s.drawJob(d))
	if err != nil {
		return kefu.Drawn{}, err
	}
	return s.drawn(d.Chat, asList(reply), instant(millis(d.At.Add(d.For))))
}

func (s *Store) drawJob(d kefu.Draw) job {
	p := s.keys.partition(d.Chat)
	return job{
		op: "draw", place: p, script: s.scripts.draw,
		names: []string{s.keys.lanes(p), s.keys.chatLane(d.Chat), s.keys.chat(d.Chat), s.keys.gone(d.Chat)},
		args: []any{
			chatMember(d.Chat), millis(d.At), millis(d.At.Add(d.For)), d.Line, messageBytes,
			joinFor.Milliseconds(), holdFor.Milliseconds(), messageLines,
		},
	}
}

func (s *Store) drawn(chat kefu.CustomerID, l list, end time.Time) (kefu.Drawn, error) {
	switch l.text(0) {
	case "done":
		return kefu.Drawn{State: kefu.DrawDone}, nil
	case "gone":
		return kefu.Drawn{State: kefu.DrawGone}, nil
	case "held":
		return kefu.Drawn{State: kefu.DrawHeld}, nil
	case "wait":
		return kefu.Drawn{State: kefu.DrawWait, Due: instant(l.number(1)), PutOff: l.yes(2)}, nil
	case "mine":
	default:
		return kefu.Drawn{State: kefu.DrawEmpty}, nil
	}
	d := kefu.Delivery{To: chat, More: l.yes(1)}
	for i := 3; i < len(l); i++ {
		line, attempts, err := s.parseLine(l.text(i))
		if err != nil {
			return kefu.Drawn{}, err
		}
		line.Hint = line.Label > 0 && !line.Note && strconv.Itoa(line.Label) != l.text(2)
		if d.ID == "" {
			d.ID, d.Attempts = line.ID, attempts
		}
		d.Lines = append(d.Lines, line)
	}
	return kefu.Drawn{State: kefu.DrawMine, Lane: kefu.Lane{Delivery: d, Lease: end, Allowed: true}}, nil
}

// parseLine reads an element of a chat's lane, as post.lua writes it.
func (s *Store) parseLine(element string) (kefu.Line, int, error) {
	const parts = 10
	f := strings.SplitN(element, "\n", parts)
	if len(f) != parts {
		return kefu.Line{}, 0, fmt.Errorf("a line has %d fields, not %d", len(f), parts)
	}
	line := kefu.Line{
		ID: f[0], Entry: kefu.EntryTag(f[8]), Note: f[6] == "N", Part: f[6] == "P",
		Doubt: strings.Contains(f[2], "d"),
	}
	var err error
	if f[3] != "" {
		if line.Of, err = customer(f[3]); err != nil {
			return kefu.Line{}, 0, fmt.Errorf("read line: %w", err)
		}
	}
	attempts, errAttempts := strconv.Atoi(f[1])
	label, errLabel := strconv.Atoi(f[4])
	var w written
	if err = errors.Join(errAttempts, errLabel, json.Unmarshal([]byte(f[9]), &w)); err != nil {
		return kefu.Line{}, 0, fmt.Errorf("read line: %w", err)
	}
	line.Label, line.Ref = label, w.Ref
	line.Words = s.unseal(line.Of, w.Words)
	return line, attempts, nil
}

// finishChat ends the lease of a chat's lane.
func (s *Store) finishChat(ctx context.Context, lane kefu.Lane, v kefu.Verdict) error {
	d, now := lane.Delivery, s.now()
	outcome := stays(v.Outcome)
	if d.More && outcome == "pop" {
		outcome = "more"
	}
	p := s.keys.partition(d.To)
	j := job{
		op: "drawn", place: p, script: s.scripts.drawn,
		names: []string{s.keys.lanes(p), s.keys.chatLane(d.To), s.keys.chat(d.To), s.keys.gone(d.To)},
		args: []any{
			chatMember(d.To), millis(lane.Lease), millis(now), outcome, millis(v.Due), ledgerWord(v.Ledger), flag(v.Doubt),
			laneTTL.Milliseconds(), holdFor.Milliseconds(),
		},
	}
	for _, line := range d.Lines {
		j.args = append(j.args, line.ID)
	}
	if v.Outcome == kefu.OutcomeBuried {
		if err := s.buryLines(ctx, d, v, now); err != nil {
			return err
		}
	}
	_, err := s.run(ctx, j)
	return err
}

// buryLines keeps lines that no retry can bring to their agent for a human.
func (s *Store) buryLines(ctx context.Context, d kefu.Delivery, v kefu.Verdict, at time.Time) error {
	b, err := s.bury(d, v, at)
	if err != nil {
		return err
	}
	p := s.keys.partition(d.To)
	return s.do(ctx, "bury", p, func(ctx context.Context) error {
		pipe := s.rdb.Pipeline()
		pipe.LPush(ctx, s.keys.buried(p), b)
		pipe.LTrim(ctx, s.keys.buried(p), 0, buriedKept-1)
		pipe.PExpire(ctx, s.keys.buried(p), buriedTTL)
		_, err := pipe.Exec(ctx)
		return err
	})
}

// Withdraw takes a posting back, and reports whether it could: if the agent has
// its message, it stays. One that is on its way may still reach him; if it does
// not, it is not sent again. A conversation of which he has had nothing is no
// longer in his chat. With line "" it is withdrawn in any case, even before it
// is written, and what is left of it is taken out.
func (s *Store) Withdraw(ctx context.Context, p kefu.Posting, line string) (bool, error) {
	part := s.keys.partition(p.Chat)
	reply, err := s.run(ctx, job{
		op: "withdraw", place: part, script: s.scripts.withdraw,
		names: []string{s.keys.chatLane(p.Chat), s.keys.chat(p.Chat), s.keys.labels(p.Chat), s.posted(p), s.keys.gone(p.Chat)},
		args:  []any{member(p.Customer), p.Turn, line, pushTTL.Milliseconds(), millis(s.now())},
	})
	if err != nil {
		return false, err
	}
	return reply != int64(0), nil
}
