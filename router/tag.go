package router

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"kefud/kefu"
)

// A session-from longer than this was cut by WeChat, at a byte and not at a
// character.
//
// WeChat, "wx.openCustomerServiceConversation", sessionFrom,
// https://developers.weixin.qq.com/minigame/dev/api/wx.openCustomerServiceConversation.html,
// read 2026-11: 1000 bytes of UTF-8. The mini-program's button page states no limit.
const tagLimit = 1000

// unset is what some clients send for a button without session-from.
const unset = "wxapp"

// catchAll is the prefix entry of every tag; what a query string or an object
// says is more exact.
const catchAll kefu.EntryTag = "*"

// ResolveTag reads a session-from as a customer's client sent it and finds what
// it asks for: an entry of the app, and perhaps an agent or a group that the
// entry's ladder names. It is total: whatever it cannot make sense of is the
// zero Ask, "no tag".
//
// A tag is an entry's own tag, or begins with a prefix entry's, or is a query
// string or a JSON object with the keys tag, kefu, agent, group. Values that a
// cut left incomplete are not read.
func ResolveTag(app *kefu.App, raw string) kefu.Ask {
	cut := len(raw) >= tagLimit
	tag := strings.TrimSpace(trimBroken(raw))
	if tag == "" {
		return kefu.Ask{}
	}
	if ask := resolve(app, tag, cut); ask != (kefu.Ask{}) {
		return ask
	}
	// Developers often pass a tag through encodeURIComponent.
	if plain, err := url.QueryUnescape(tag); err == nil && plain != tag {
		return resolve(app, plain, cut)
	}
	return kefu.Ask{}
}

func resolve(app *kefu.App, tag string, cut bool) kefu.Ask {
	if e := app.Entry(kefu.EntryTag(tag)); e != nil {
		return kefu.Ask{Entry: e.Tag}
	}
	if tag == unset {
		return kefu.Ask{}
	}
	e := app.Match(tag)
	if e != nil && e.Tag != catchAll {
		return kefu.Ask{Entry: e.Tag}
	}
	if ask := readWish(tag, cut).resolve(app); ask != (kefu.Ask{}) {
		return ask
	}
	if e != nil {
		return kefu.Ask{Entry: e.Tag}
	}
	return kefu.Ask{}
}

// trimBroken drops the bytes of a last character that a cut left incomplete.
func trimBroken(s string) string {
	for range utf8.UTFMax {
		r, size := utf8.DecodeLastRuneInString(s)
		if r != utf8.RuneError || size != 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}

// A wish is what a structured tag names, not yet held against the config.
type wish struct{ tag, kefu, agent, group string }

func (w *wish) set(key, value string) {
	switch key {
	case "tag":
		w.tag = value
	case "kefu":
		w.kefu = value
	case "agent":
		w.agent = value
	case "group":
		w.group = value
	}
}

func readWish(tag string, cut bool) wish {
	if strings.HasPrefix(tag, "{") {
		return readJSONWish(tag)
	}
	return readQueryWish(strings.TrimPrefix(tag, "?"), cut)
}

// readQueryWish reads key=value pairs. The last pair of a cut tag may be half a
// value, so it is not believed.
func readQueryWish(tag string, cut bool) wish {
	var w wish
	pairs := strings.Split(tag, "&")
	if cut {
		pairs = pairs[:len(pairs)-1]
	}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		w.set(strings.TrimSpace(key), strings.TrimSpace(value))
	}
	return w
}

// readJSONWish reads the members of an object as far as they are whole.
func readJSONWish(tag string) wish {
	var w wish
	dec := json.NewDecoder(strings.NewReader(tag))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return w
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return w
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return w
		}
		name, _ := key.(string)
		switch v := value.(type) {
		case string:
			w.set(name, strings.TrimSpace(v))
		case json.Number:
			// A number that ends where the tag ends may have been longer.
			if dec.InputOffset() < int64(len(tag)) {
				w.set(name, v.String())
			}
		}
	}
	return w
}

// resolve holds a wish against the config: it can pick only what an entry's
// steps allow. An agent or group without an entry finds the first entry that
// names it, the default entry before the others.
func (w wish) resolve(app *kefu.App) kefu.Ask {
	entry := app.Match(w.tag)
	if w.tag == "" {
		entry = nil
	}
	agent := kefu.AgentID(w.agent)
	if w.kefu != "" {
		if e := app.Match(w.kefu); e != nil && entry == nil {
			entry = e
		} else if agent == "" {
			agent = kefu.AgentID(w.kefu)
		}
	}
	for _, e := range entriesFor(app, entry) {
		ask := kefu.Ask{Entry: e.Tag}
		if agent != "" && e.Allows(agent) {
			ask.Agent = agent
		}
		if w.group != "" && e.AllowsGroup(w.group) {
			ask.Group = w.group
		}
		if entry != nil || ask.Agent != "" || ask.Group != "" {
			return ask
		}
	}
	return kefu.Ask{}
}

// entriesFor lists the entries a wish may mean: the one it names, else all.
func entriesFor(app *kefu.App, named *kefu.Entry) []*kefu.Entry {
	if named != nil {
		return []*kefu.Entry{named}
	}
	var all []*kefu.Entry
	if e := app.Entry(app.Default); e != nil {
		all = append(all, e)
	}
	for i := range app.Entries {
		if app.Entries[i].Tag != app.Default {
			all = append(all, &app.Entries[i])
		}
	}
	return all
}
