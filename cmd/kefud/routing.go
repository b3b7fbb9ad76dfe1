package main

import (
	"fmt"
	"time"

	"kefud/config"
	"kefud/kefu"
	"kefud/presence"
	"kefud/wechat"
)

// routing is everything that a reload of the configuration replaces, at once.
type routing struct {
	config *config.Config
	table  *kefu.Table
	codecs map[kefu.AppID]*wechat.Codec
}

// newRouting builds the replaceable part from a checked config.
func newRouting(c *config.Config) (*routing, error) {
	table, err := c.Table()
	if err != nil {
		return nil, err
	}
	r := &routing{config: c, table: table, codecs: make(map[kefu.AppID]*wechat.Codec, len(c.Apps))}
	for i := range c.Apps {
		a := &c.Apps[i]
		codec, err := wechat.NewCodec(wechat.CodecOptions{
			App: a.Name, AppID: a.AppID, OriginalID: a.OriginalID, Token: a.Token.Reveal(),
			Key: a.EncodingAESKey.Reveal(), PreviousKey: a.PreviousEncodingAESKey.Reveal(),
			Encryption: wechat.Encryption(a.Encryption), XMLOnly: a.Kind == config.KindOfficialAccount,
			MaxAge: c.PushMaxAge, Now: time.Now,
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
