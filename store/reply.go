package store

import (
	"strconv"
	"strings"

	"kefud/kefu"
)

// list is an array as a script returns it. What is not there, or is of another
// kind than asked for, reads as nothing; the scripts state what they return.
type list []any

func asList(v any) list {
	items, _ := v.([]any)
	return items
}

func (l list) at(i int) any {
	if i >= len(l) {
		return nil
	}
	return l[i]
}

func (l list) text(i int) string {
	s, _ := l.at(i).(string)
	return s
}

// number reads a number, or a text that is one.
func (l list) number(i int) int64 {
	switch v := l.at(i).(type) {
	case int64:
		return v
	case string:
		return number(v)
	}
	return 0
}

// number reads a number of a script; "" is how it says that there is none.
func number(text string) int64 {
	if text == "" {
		return 0 // ParseInt would make an error of it
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func (l list) yes(i int) bool { return l.text(i) == "1" }

// agents reads agents that are written each after a space.
func agents(s string) []kefu.AgentID {
	var out []kefu.AgentID
	for id := range strings.FieldsSeq(s) {
		out = append(out, kefu.AgentID(id))
	}
	return out
}

func formatAgents(ids []kefu.AgentID) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(" " + string(id))
	}
	return b.String()
}

// formatAnswer gives an answer as a push record holds it, "" for none.
func formatAnswer(a kefu.Answer) string {
	if !a.Decided() {
		return ""
	}
	return string(rune(a.Way)) + string(a.Agent) + " " + a.Account
}

// parseAnswer is the reverse of formatAnswer; "" is undecided.
func parseAnswer(s string) kefu.Answer {
	if s == "" {
		return kefu.Answer{}
	}
	agent, account, _ := strings.Cut(s[1:], " ")
	return kefu.Answer{Way: kefu.Way(s[0]), Agent: kefu.AgentID(agent), Account: account}
}

// parsePush reads a push record.
func parsePush(record string) kefu.Received {
	first, answer, _ := strings.Cut(record, " ")
	ms, _ := strconv.ParseInt(first, 10, 64) // receive and settle write nothing else
	return kefu.Received{Repeat: true, First: instant(ms), Answer: parseAnswer(answer)}
}

func flag(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

// orNone is a number for a script that takes an empty text for 0, so that it is not kept.
func orNone(n int64) any {
	if n == 0 {
		return ""
	}
	return n
}
