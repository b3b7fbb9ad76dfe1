package store

import (
	"embed"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// scripts are the programs that run inside Redis, one a file of folder lua.
type scripts struct {
	receive, settle, history, unserve *program
	rest, walk, forget, allowed       *program
	seat, release, refresh, vacate    *program
	lease, finish, revive             *program
	lead, younger, drop               *program

	say, closing, overdue, hurry, mark *program
	post, draw, drawn, withdraw        *program
	hear, reply, leave                 *program
	bind, announce, unbind             *program
}

// A program is a script as calls take it: its hash, and its text for a Redis that does
// not know it. Made for each call, they would be allocated for each.
type program struct{ hash, text any }

// constants are what scripts need not be told with every call. Times are in ms; those
// that only go on to Redis are texts, as it takes them.
var constants = fmt.Sprintf("local PUSH_TTL, LANE_TTL, RECORD_TTL, KNOWN_TTL, SLACK, RECORDS_MOST, TICKS = '%d', '%d', '%d', '%d', %d, %d, %d\n",
	pushTTL.Milliseconds(), laneTTL.Milliseconds(), recordTTL.Milliseconds(), knownTTL.Milliseconds(), slack.Milliseconds(), recordsMost, ticks)

func newScripts() scripts {
	return scripts{
		receive: script(receiveFiles...),
		settle:  ofCustomer("owe", "await", "tell", "settle"),
		history: ofCustomer("history"),
		unserve: ofCustomer("unserve"),
		seat:    script("whole", "outlive", "seat"),
		release: script("release"),
		refresh: script("whole", "outlive", "refresh"),
		vacate:  script("vacate"),
		lease:   script("layout", "lease"),
		finish:  script("finish"),
		revive:  ofCustomer("revive"),
		rest:    script("whole", "layout", "outlive", "rested", "state", "pack", "rest"),
		walk:    script("rested", "walk"),
		forget:  script("rested", "forget"),
		allowed: ofCustomer("allowed"),
		lead:    script("lead"),
		younger: script("younger"),
		drop:    script("drop"),

		say:      ofCustomer("owe", "await", "tell", "say"),
		closing:  ofCustomer("owe", "await", "close"),
		overdue:  script("overdue"),
		hurry:    script("hurry"),
		mark:     script("tell", "mark"),
		post:     script("labels", "label", "lines", "post"),
		draw:     script("lines", "draw"),
		drawn:    script("lines", "drawn"),
		withdraw: script("lines", "withdraw"),
		hear:     script("labels", "recall", "target", "hear"),
		reply:    script("labels", "reply"),
		leave:    script("labels", "lines", "leave"),
		bind:     script("bind"),
		announce: script("announce"),
		unbind:   script("unbind"),
	}
}

// receiveFiles is in another order than others: the quick way comes before what it does without.
var receiveFiles = []string{
	"whole", "layout", "reach", "kept", "outlive", "rested", "unpack", "state", "customer", "move", "owe", "await", "tell", "receive",
}

func script(files ...string) *program { return newProgram(joined(files...)) }

// ofCustomer is a script that needs customer.lua.
func ofCustomer(files ...string) *program {
	return script(append([]string{"whole", "layout", "outlive", "rested", "unpack", "state", "customer"}, files...)...)
}

// joined is the text of a script and the fragments it needs, which come first, behind
// the constants.
func joined(files ...string) string {
	var b strings.Builder
	b.WriteString(constants)
	for _, name := range files {
		text, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(fmt.Sprintf("store: no script %s in this program", name))
		}
		b.Write(text)
	}
	return b.String()
}

func newProgram(text string) *program {
	return &program{hash: redis.NewScript(text).Hash(), text: text}
}
