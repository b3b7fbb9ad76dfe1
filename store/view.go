package store

import (
	"strings"

	"kefud/kefu"
)

// A view is a conversation as function view of customer.lua lists it: a text, for
// one text is a lot quicker to bring over than a list of fourteen.
type view struct{ fields [viewFields]string }

const viewFields = 14

// parseView reads a view. What is not there reads as nothing.
func parseView(text string) view {
	var v view
	for i := range v.fields {
		v.fields[i], text, _ = strings.Cut(text, "\n")
	}
	return v
}

// parseKept reads what kept.lua returns behind its answer: who holds the seat, since
// when, the turn, and the fields s and t of the customer's hash, in a conversation that
// is live.
func parseKept(text string) view {
	var holds, held, turn string
	holds, text, _ = strings.Cut(text, "\n")
	held, text, _ = strings.Cut(text, "\n")
	turn, text, _ = strings.Cut(text, "\n")
	var s [9]string // entry, sticky, tagged, asked agent, asked group, owner, borrowed, where he serves, standing
	for i := range s {
		s[i], text, _ = strings.Cut(text, "\n")
	}
	version, text, _ := strings.Cut(text, "\n")
	entered, text, _ := strings.Cut(text, "\n")
	missed, _, _ := strings.Cut(text, "\n")
	return view{[viewFields]string{
		s[0], s[3], s[4], s[5], s[6], holds, s[8], "1", holds, entered, version, held, missed, turn,
	}}
}

// conversation reads only the conversation of a view.
func conversation(text string) kefu.Conversation {
	v := parseView(text)
	return v.conversation()
}

func (v *view) conversation() kefu.Conversation {
	return kefu.Conversation{
		Entry:    kefu.EntryTag(v.fields[0]),
		Ask:      v.ask(),
		Owner:    kefu.AgentID(v.fields[3]),
		Borrowed: int(v.number(4)),
		Serving:  kefu.AgentID(v.fields[5]),
		Standing: v.yes(6),
		Live:     v.yes(7),
		Holds:    kefu.AgentID(v.fields[8]),
		Entered:  instant(v.number(9)),
		Version:  v.number(10),
		Held:     instant(v.number(11)),
		Missed:   agents(v.fields[12]),
	}
}

func (v *view) turn() int64 { return v.number(13) }

// ask is what was asked for at the present entry; without an agent or a group
// nothing was.
func (v *view) ask() kefu.Ask {
	a := kefu.Ask{Agent: kefu.AgentID(v.fields[1]), Group: v.fields[2]}
	if a != (kefu.Ask{}) {
		a.Entry = kefu.EntryTag(v.fields[0])
	}
	return a
}

func (v *view) number(i int) int64 { return number(v.fields[i]) }

func (v *view) yes(i int) bool { return v.fields[i] == "1" }
