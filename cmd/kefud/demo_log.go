package main

import (
	"cmp"
	"encoding/json"
	"io"
	"sync"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

// A loggedDecision is the callback line of a server's log.
type loggedDecision struct {
	Message      string      `json:"message"`
	Conversation string      `json:"conversation"`
	Agent        string      `json:"agent"`
	Reason       kefu.Reason `json:"reason"`
	Reply        string      `json:"reply"`
}

// String tells a decision in words.
func (l loggedDecision) String() string {
	return cmp.Or(l.Agent, "nobody") + " (" + string(l.Reason) + "), answered " + l.Reply
}

// A decisionLog is a log writer that remembers each customer's last decision.
type decisionLog struct {
	mu   sync.Mutex
	last map[string]loggedDecision
}

// Write takes one line of the log.
func (d *decisionLog) Write(line []byte) (int, error) {
	var l loggedDecision
	if err := json.Unmarshal(line, &l); err == nil && l.Conversation != "" {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.last == nil {
			d.last = make(map[string]loggedDecision)
		}
		d.last[l.Conversation] = l
	}
	return len(line), nil
}

// of gives the last decision for a customer.
func (d *decisionLog) of(openid string) loggedDecision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last[kefu.Shorten(openid)]
}

// warnings passes on what is worth a warning or more, for people.
func warnings(w io.Writer) zerolog.LevelWriter {
	return &zerolog.FilteredLevelWriter{
		Writer: zerolog.LevelWriterAdapter{Writer: zerolog.ConsoleWriter{Out: w}}, Level: zerolog.WarnLevel,
	}
}
