package main

import (
	"context"
	"fmt"
	"time"

	"kefud/config"
	"kefud/handler"
	"kefud/kefu"
	"kefud/presence"
	"kefud/wechat"
)

// routing is everything that a reload of the configuration replaces, at once.
type routing struct {
	config *config.Config
	table  *kefu.Table
	codecs map[kefu.AppID]*wechat.Codec
	keys   transcriptKeys
}

// transcriptKeys are the keys that seal what is said at an app: the present one
// and the one before. A switchboard without keys of its own uses the first there
// are: what agents are told there repeats what customers say elsewhere.
type transcriptKeys map[kefu.AppID][2][]byte

func newTranscriptKeys(c *config.Config) transcriptKeys {
	keys := make(transcriptKeys, len(c.Apps))
	var first [2][]byte
	for i := range c.Apps {
		t := &c.Apps[i].Transcript
		own := [2][]byte{t.Key.Key(), t.PreviousKey.Key()}
		if keys[c.Apps[i].Name] = own; first[0] == nil {
			first = own
		}
	}
	for i := range c.Apps {
		if a := &c.Apps[i]; a.Role == config.RoleSwitchboard && keys[a.Name][0] == nil {
			keys[a.Name] = first
		}
	}
	return keys
}

func (k transcriptKeys) of(app kefu.AppID) ([]byte, []byte) { return k[app][0], k[app][1] }

func (r *routing) transcriptKeys(app kefu.AppID) ([]byte, []byte) { return r.keys.of(app) }

// front sends each push where it belongs: what customers do to the router, what
// agents write in their chats to the relay.
type front struct {
	customers, agents handler.Router
	table             func() *kefu.Table
}

// Route answers one push.
func (f *front) Route(ctx context.Context, m *kefu.Message) kefu.Decision {
	if app := f.table().App(m.Customer.App); app != nil && app.Switchboard {
		return f.agents.Route(ctx, m)
	}
	return f.customers.Route(ctx, m)
}

// newRouting builds the replaceable part from a checked config.
func newRouting(c *config.Config, now func() time.Time) (*routing, error) {
	table, err := c.Table()
	if err != nil {
		return nil, err
	}
	r := &routing{config: c, table: table, keys: newTranscriptKeys(c), codecs: make(map[kefu.AppID]*wechat.Codec, len(c.Apps))}
	for i := range c.Apps {
		a := &c.Apps[i]
		codec, err := wechat.NewCodec(wechat.CodecOptions{
			App: a.Name, AppID: a.AppID, OriginalID: a.OriginalID, Token: a.Token.Reveal(),
			Key: a.EncodingAESKey.Reveal(), PreviousKey: a.PreviousEncodingAESKey.Reveal(),
			Encryption: wechat.Encryption(a.Encryption), XMLOnly: a.Kind == config.KindOfficialAccount,
			MaxAge: c.PushMaxAge, Now: now,
		})
		if err != nil {
			return nil, fmt.Errorf("app %q: %w", a.Name, err)
		}
		r.codecs[a.Name] = codec
	}
	return r, nil
}

func (r *routing) credentials() []wechat.Credential {
	out := make([]wechat.Credential, 0, len(r.config.Apps))
	for i := range r.config.Apps {
		a := &r.config.Apps[i]
		out = append(out, wechat.Credential{
			App: a.Name, AppID: a.AppID, Secret: a.AppSecret.Reveal(), Official: a.Kind == config.KindOfficialAccount,
		})
	}
	return out
}

// presence tells how an app's online list is read.
func (r *routing) presence(app kefu.AppID) presence.Settings {
	for i := range r.config.Apps {
		if p := r.config.Apps[i].Presence; r.config.Apps[i].Name == app {
			return presence.Settings{Refresh: p.Refresh, StaleAfter: p.StaleAfter}
		}
	}
	return presence.Settings{}
}

// link finds what a mini-program is told to open for a tag. The first app that
// has a link for it answers; the request does not say which app it is from.
func (r *routing) link(tag string) (string, bool) {
	for i := range r.table.Apps {
		if e := r.table.Apps[i].Match(tag); e != nil && tag != "" && e.Link != "" {
			return e.Link, true
		}
	}
	return "", false
}
