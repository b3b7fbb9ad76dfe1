package main

import (
	"strings"

	"golang.org/x/text/width"

	"kefud/kefu"
)

// inWords tells a reason to people who do not know the word.
func inWords(r kefu.Reason) string {
	words := map[kefu.Reason]string{
		kefu.ReasonKept:         "has the conversation already",
		kefu.ReasonOwner:        "the customer's own agent",
		kefu.ReasonAsked:        "asked for by the tag",
		kefu.ReasonStep:         "the button's ladder names him",
		kefu.ReasonStandIn:      "stands in for the customer's own agent",
		kefu.ReasonOwnerChanged: "is the customer's own agent from now on",
		kefu.ReasonPool:         "nobody of the ladder could: WeChat's desk",
		kefu.ReasonNobodyHeld:   "nobody of the ladder could, yet",
		kefu.ReasonRepeat:       "answered as the first time",
		kefu.ReasonDegraded:     "something was broken: WeChat's desk",
		kefu.ReasonTaken:        "took it",
		kefu.ReasonFull:         "has no room",
		kefu.ReasonOffline:      "is offline",
		kefu.ReasonUnknown:      "is not known to be there",
		kefu.ReasonPaused:       "is paused",
		kefu.ReasonAway:         "is away",
		kefu.ReasonLeft:         "is no longer on the ladder",
		kefu.ReasonNoWay:        "has no desk at this app",
		kefu.ReasonWaits:        "comes after a step that is still waited for",
		kefu.ReasonNotNeeded:    "was not needed",
		kefu.ReasonRefused:      "could not be reached",
	}[r]
	if words == "" {
		return string(r)
	}
	return string(r) + ": " + words
}

// A table is rows of cells, the first row being the head. Unlike a tabwriter it
// knows that a Chinese character is two columns wide.
type table [][]string

// String lays the table out, each line indented by two.
func (t table) String() string {
	widths := map[int]int{}
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	var b strings.Builder
	for _, row := range t {
		b.WriteByte(' ')
		for i, cell := range row {
			b.WriteString(" " + cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(cell)+1))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// columns is how wide a text stands in a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
