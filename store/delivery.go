package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kefud/kefu"
)

// A body is the part of a delivery that no script looks at. Times are Unix
// milliseconds, 0 for none.
type body struct {
	Notice   kefu.NoticeKind `json:"n,omitempty"`
	Words    string          `json:"w,omitempty"` // sealed
	Ref      string          `json:"r,omitempty"`
	Position int             `json:"p,omitempty"`
	Once     bool            `json:"o,omitempty"`
	At       int64           `json:"t"`
	Expires  int64           `json:"x,omitempty"`
}

// deliveryArgs gives a delivery as the scripts take it: notice, once, agent,
// entry, body.
func (s *Store) deliveryArgs(to kefu.CustomerID, d kefu.Delivery) ([]any, error) {
	if d.To != to {
		return nil, errors.New("a delivery goes to another customer than the push came from")
	}
	if strings.Contains(string(d.Agent)+string(d.Entry), "\n") {
		return nil, errors.New("a delivery's agent or entry has a line break")
	}
	b, err := s.encodeBody(d)
	if err != nil {
		return nil, err
	}
	return []any{string(d.Notice), flag(d.Once), string(d.Agent), string(d.Entry), b}, nil
}

func (s *Store) encodeBody(d kefu.Delivery) (string, error) {
	words, err := s.seal(d.To, d.Words)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(body{
		Notice: d.Notice, Words: words, Ref: d.Ref, Position: d.Position, Once: d.Once, At: millis(d.At), Expires: millis(d.Expires),
	})
	if err != nil {
		return "", fmt.Errorf("encode delivery: %w", err)
	}
	return string(b), nil
}

// parseDelivery reads an element of a lane, as owe.lua writes it.
func (s *Store) parseDelivery(to kefu.CustomerID, element string) (kefu.Delivery, error) {
	const parts = 5
	f := strings.SplitN(element, "\n", parts)
	if len(f) != parts {
		return kefu.Delivery{}, fmt.Errorf("a delivery has %d lines, not %d", len(f), parts)
	}
	attempts, err := strconv.Atoi(f[1])
	if err != nil {
		return kefu.Delivery{}, errors.New("a delivery's attempts are no number")
	}
	var b body
	if err := json.Unmarshal([]byte(f[4]), &b); err != nil {
		return kefu.Delivery{}, fmt.Errorf("decode delivery: %w", err)
	}
	return kefu.Delivery{
		ID: f[0], To: to, Notice: b.Notice, Words: s.unseal(to, b.Words), Ref: b.Ref, Entry: kefu.EntryTag(f[3]), Agent: kefu.AgentID(f[2]),
		Position: b.Position, Once: b.Once, At: instant(b.At), Expires: instant(b.Expires), Attempts: attempts,
	}, nil
}

// A grave is a burial as it is kept.
type grave struct {
	ID       string        `json:"id"`
	App      kefu.AppID    `json:"app"`
	User     string        `json:"user"`
	Entry    kefu.EntryTag `json:"entry,omitempty"`
	Agent    kefu.AgentID  `json:"agent,omitempty"`
	Attempts int           `json:"attempts"`
	Body     body          `json:"body"`
	Lines    []graveLine   `json:"lines,omitempty"`
	Reason   string        `json:"reason"`
	Code     int           `json:"code,omitempty"`
	At       int64         `json:"at"`
}

// A graveLine is a line to an agent as it is kept.
type graveLine struct {
	ID    string        `json:"id"`
	App   kefu.AppID    `json:"app,omitempty"`
	User  string        `json:"user,omitempty"`
	Label int           `json:"label,omitempty"`
	Entry kefu.EntryTag `json:"entry,omitempty"`
	Words string        `json:"w"`
	Note  bool          `json:"note,omitempty"`
}

// bury gives a delivery as it is kept when no retry can save it.
func (s *Store) bury(d kefu.Delivery, v kefu.Verdict, at time.Time) (string, error) {
	words, err := s.seal(d.To, d.Words)
	if err != nil {
		return "", err
	}
	var lines []graveLine
	for _, l := range d.Lines {
		g := graveLine{ID: l.ID, App: l.Of.App, User: l.Of.User, Label: l.Label, Entry: l.Entry, Note: l.Note}
		if g.Words, err = s.seal(l.Of, l.Words); err != nil {
			return "", err
		}
		lines = append(lines, g)
	}
	b, err := json.Marshal(grave{
		Lines: lines,
		ID:    d.ID, App: d.To.App, User: d.To.User, Entry: d.Entry, Agent: d.Agent, Attempts: d.Attempts,
		Body: body{
			Notice: d.Notice, Words: words, Ref: d.Ref, Position: d.Position, Once: d.Once, At: millis(d.At), Expires: millis(d.Expires),
		},
		Reason: v.Reason, Code: v.Code, At: millis(at),
	})
	if err != nil {
		return "", fmt.Errorf("encode burial: %w", err)
	}
	return string(b), nil
}

func (s *Store) burial(g grave) kefu.Burial {
	to := kefu.CustomerID{App: g.App, User: g.User}
	var lines []kefu.Line
	for _, l := range g.Lines {
		of := kefu.CustomerID{App: l.App, User: l.User}
		lines = append(lines, kefu.Line{ID: l.ID, Of: of, Label: l.Label, Entry: l.Entry, Words: s.unseal(of, l.Words), Note: l.Note})
	}
	return kefu.Burial{
		Delivery: kefu.Delivery{
			Lines: lines,
			ID:    g.ID, To: to, Notice: g.Body.Notice, Words: s.unseal(to, g.Body.Words), Ref: g.Body.Ref, Entry: g.Entry, Agent: g.Agent,
			Position: g.Body.Position, Once: g.Body.Once, At: instant(g.Body.At), Expires: instant(g.Body.Expires), Attempts: g.Attempts,
		},
		Reason: g.Reason, Code: g.Code, At: instant(g.At),
	}
}
