package main

import (
	"fmt"
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

const testAESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

// A dialect is one of the ways in which WeChat pushes.
type dialect struct {
	kind   simulator.Kind
	mode   simulator.Mode
	format simulator.Format
}

func (d dialect) name() string {
	kind := map[simulator.Kind]string{simulator.MiniProgram: "mini", simulator.OfficialAccount: "official"}[d.kind]
	return fmt.Sprintf("%s-%s-%s", kind, d.mode, d.format)
}

func dialects() []dialect {
	var all []dialect
	for _, mode := range []simulator.Mode{simulator.Plain, simulator.Compatible, simulator.Safe} {
		all = append(all, dialect{simulator.MiniProgram, mode, simulator.XML},
			dialect{simulator.MiniProgram, mode, simulator.JSON}, dialect{simulator.OfficialAccount, mode, simulator.XML})
	}
	return all
}

// dialectConfig has an app for every dialect, with two buttons and two agents.
func dialectConfig() string {
	var agents, apps strings.Builder
	for i, d := range dialects() {
		name := d.name()
		for n := range 2 {
			fmt.Fprintf(&agents, "  - {id: %s-%d, desk: {app: %s, account: kf%d@gh_%d}}\n", name, n, name, n, i)
		}
		fmt.Fprintf(&apps, `
  - name: %s
    kind: %s
    app_id: wx%016d
    app_secret: secret-%d
    original_id: gh_%d
    token: token-%d
    encoding_aes_key: %s
    encryption: %s
    transfer_to_agent: always
    presence: {refresh: 1s, stale_after: 1m}
    default_entry: b0
    entries: [{tag: b0, steps: [{agent: %[1]s-0}]}, {tag: b1, steps: [{agent: %[1]s-1}]}]
`, name, d.kind, i, i, i, i, testAESKey, d.mode)
	}
	return rigHead + "agents:\n" + agents.String() + "apps:" + apps.String()
}

func TestEveryDialectReachesTheRightAgent(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		formats := map[string]simulator.Format{}
		for _, d := range dialects() {
			formats[d.name()] = d.format
		}
		r := start(t, rigOptions{config: dialectConfig(), redis: redis, account: func(o *simulator.AccountOptions) {
			o.Format, o.TextNumbers = formats[o.Name], o.Mode == simulator.Compatible
		}})
		for _, app := range keys(r.accounts) {
			must(t, r.accounts[app].Verify(t.Context()))
			for n := range 2 {
				r.visit(app, fmt.Sprintf("b%d", n), fmt.Sprintf("%s-%d", app, n))
			}
		}
		r.well()
	})
}

// visit taps a button and sends a message of every sort, each of which must
// come to the agent.
func (r *rig) visit(app, tag, agent string) {
	r.t.Helper()
	c := r.somebody(app)
	if got := answer(r.t, r.tap(c, tag)); got.Kind != simulator.AnswerSuccess {
		r.t.Errorf("%s: the tap was answered with %s", app, got)
	}
	r.reads(c, 1)
	for _, push := range []*simulator.Push{
		c.Text("有货吗？<&>\"]]> \u2028 😀"), c.Image(), c.Card("耳机", "/pages/item?id=1&x=2"),
	} {
		result := r.send(push)
		if answer(r.t, result).KfAccount != r.account(agent) || result.Reach.Agent != agent {
			r.t.Errorf("%s: a %s went to %q (%s), want %s", app, result.Reach.Type, result.Reach.Agent, answer(r.t, result), agent)
		}
		r.leave(c)
	}
}

func TestKeysAreRotatedWithoutLosingAPush(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		const newKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg"
		text := strings.Replace(smallConfig, "token: token-of-shop",
			"token: token-of-shop\n    encryption: safe\n    encoding_aes_key: "+newKey+"\n    previous_encoding_aes_key: "+testAESKey, 1)
		r := start(t, rigOptions{config: text, redis: redis, account: func(o *simulator.AccountOptions) {
			o.AESKey = testAESKey
		}})
		before, after := r.somebody("shop"), r.somebody("shop")
		r.tap(before, "cs2")
		r.reaches(before, "li")
		must(t, r.accounts["shop"].SetMode(simulator.Safe, newKey))
		r.tap(after, "vip")
		r.reaches(after, "zhao")
		r.reaches(before, "li")
		r.well()
	})
}

// What nobody has to answer is answered all the same, and a customer's message
// of any sort that WeChat documents comes to his agent.
func TestOddPushesDoNoHarm(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: strings.Replace(smallConfig, "kind: mini_program", "kind: official_account", 1), redis: redis})
		c := r.somebody("shop")
		for _, odd := range []simulator.Fields{
			{{Name: "MsgType", Value: "event"}, {Name: "Event", Value: "subscribe"}},
			{{Name: "MsgType", Value: "event"}, {Name: "Event", Value: "kf_create_session"}, {Name: "KfAccount", Value: "kf2001@gh_shop"}},
			{{Name: "MsgType", Value: "event"}},
			{{Name: "MsgType", Value: "hologram"}, {Name: "Depth", Value: int64(3)}},
		} {
			if got := answer(t, r.send(c.Raw(odd))); got.Kind != simulator.AnswerSuccess {
				t.Errorf("%v was answered with %s", odd, got)
			}
			r.decided(c, "", kefu.ReasonIgnored)
		}
		for _, kind := range []string{"voice", "video", "shortvideo", "location", "link", "file"} {
			result := r.send(c.Raw(simulator.Fields{{Name: "MsgType", Value: kind}, {Name: "MediaId", Value: "m"}}))
			if got := answer(t, result); got.KfAccount != "kf2001@gh_shop" {
				t.Errorf("a %s was answered with %s", kind, got)
			}
			r.leave(c)
		}
		r.well()
	})
}
