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
	Notice   kefu.NoticeKind `json:"n"`
	Position int             `json:"p,omitempty"`
	Once     bool            `json:"o,omitempty"`
	At       int64           `json:"t"`
	Expires  int64           `json:"x,omitempty"`
}

// deliveryArgs gives a delivery as the scripts take it: notice, once, agent,
// entry, body.
func deliveryArgs(to kefu.CustomerID, d kefu.Delivery) ([]any, error) {
	if d.To != to {
		return nil, errors.New("a delivery goes to another customer than the push came from")
	}
	if strings.Contains(string(d.Agent)+string(d.Entry), "\n") {
		return nil, errors.New("a delivery's agent or entry has a line break")
	}
	b, err := json.Marshal(body{
		Notice: d.Notice, Position: d.Position, Once: d.Once, At: millis(d.At), Expires: millis(d.Expires),
	})
	if err != nil {
		return nil, fmt.Errorf("encode delivery: %w", err)
	}
	return []any{string(d.Notice), flag(d.Once), string(d.Agent), string(d.Entry), string(b)}, nil
}

// parseDelivery reads an element of a lane, as owe.lua writes it.
func parseDelivery(to kefu.CustomerID, element string) (kefu.Delivery, error) {
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
		ID: f[0], To: to, Notice: b.Notice, Entry: kefu.EntryTag(f[3]), Agent: kefu.AgentID(f[2]),
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
	Reason   string        `json:"reason"`
	At       int64         `json:"at"`
}

func newGrave(d kefu.Delivery, reason string, at time.Time) grave {
	return grave{
		ID: d.ID, App: d.To.App, User: d.To.User, Entry: d.Entry, Agent: d.Agent, Attempts: d.Attempts,
		Body:   body{Notice: d.Notice, Position: d.Position, Once: d.Once, At: millis(d.At), Expires: millis(d.Expires)},
		Reason: reason, At: millis(at),
	}
}

func (g grave) burial() kefu.Burial {
	return kefu.Burial{
		Delivery: kefu.Delivery{
			ID: g.ID, To: kefu.CustomerID{App: g.App, User: g.User}, Notice: g.Body.Notice, Entry: g.Entry, Agent: g.Agent,
			Position: g.Body.Position, Once: g.Body.Once, At: instant(g.Body.At), Expires: instant(g.Body.Expires), Attempts: g.Attempts,
		},
		Reason: g.Reason, At: instant(g.At),
	}
}
