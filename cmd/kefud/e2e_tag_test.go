package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// tagConfig has an entry for every form of tag.
const tagConfig = rigHead + `
agents:
  - {id: wang, capacity: 0, desk: {app: shop, account: kf2001@gh_shop}}
  - {id: li, capacity: 0, desk: {app: shop, account: kf2002@gh_shop}}
  - {id: zhao, capacity: 0, desk: {app: shop, account: kf2003@gh_shop}}
groups:
  - {name: night, agents: [zhao]}
apps:
  - name: shop
    app_id: wx00000000000000a1
    app_secret: secret-of-shop
    original_id: gh_shop
    token: token-of-shop
    transfer_to_agent: always
    presence: {refresh: 100ms, stale_after: 20s}
    default_entry: cs1
    entries:
      - {tag: cs1, steps: [{agent: wang}, {agent: li}, {group: night}]}
      - {tag: "order:*", steps: [{agent: li}]}
      - {tag: "order:vip*", steps: [{agent: zhao}]}
      - {tag: vip, steps: [{agent: zhao}]}
`

func TestEveryFormOfTagFindsItsAgent(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: tagConfig, redis: redis})
		for _, tt := range []struct{ name, tag, agent string }{
			{"exact", "vip", "zhao"},
			{"prefix", "order:1234", "li"},
			{"the longer prefix", "order:vip-77", "zhao"},
			{"query with a tag", "tag=vip&from=home", "zhao"},
			{"query with kefu", "page=item&kefu=vip", "zhao"},
			{"query with an agent of the default ladder", "agent=li", "li"},
			{"query with a group of the default ladder", "group=night", "zhao"},
			{"query with an agent whom the entry does not allow", "tag=vip&agent=wang", "zhao"},
			{"JSON with a tag", `{"tag":"vip","page":{"a":[1]}}`, "zhao"},
			{"JSON with an agent", `{"agent":"li"}`, "li"},
			{"encoded by the client", "tag%3Dvip%26x%3D1", "zhao"},
			{"query cut at 1000 bytes", "tag=vip&page=" + strings.Repeat("客", 500), "zhao"},
			{"JSON cut at 1000 bytes", `{"tag":"vip","page":"` + strings.Repeat("客", 500) + `"}`, "zhao"},
			{"a value that was cut is not believed", strings.Repeat("x", 992) + "&tag=vipper", "wang"},
			{"none", "", "wang"},
			{"wxapp", "wxapp", "wang"},
			{"unknown", "no-such-button", "wang"},
			{"nonsense", "{\"\u0000%zz", "wang"},
		} {
			c := r.somebody("shop")
			r.tap(c, tt.tag)
			if d := r.decision(c); d.Agent != tt.agent {
				t.Errorf("%s: decided for %q (%s), want %q", tt.name, d.Agent, d.Reason, tt.agent)
				continue
			}
			r.reaches(c, tt.agent)
		}
		r.well()
	})
}

func TestTagThatSaysNothingKeepsTheEntryRemembered(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: tagConfig, redis: redis})
		c := r.somebody("shop")
		r.tap(c, "order:1")
		r.reaches(c, "li")
		for _, tag := range []string{"", "wxapp", "no-such-button"} {
			r.tap(c, tag)
			r.reaches(c, "li")
		}
		r.tap(c, "vip")
		r.reaches(c, "zhao")
		r.tap(c, "order:2") // back at his own agent there
		r.reaches(c, "li")
		r.well()
	})
}

func TestOnlyWhereWeChatDocumentsItIsAnAgentNamed(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		for _, tt := range []struct {
			kind, setting string
			named         bool
		}{
			{"mini_program", "auto", false},
			{"mini_program", "always", true},
			{"mini_program", "never", false},
			{"official_account", "auto", true},
			{"official_account", "never", false},
		} {
			t.Run(tt.kind+" "+tt.setting, func(t *testing.T) {
				text := strings.Replace(smallConfig, "kind: mini_program", "kind: "+tt.kind, 1)
				text = strings.Replace(text, "transfer_to_agent: always", "transfer_to_agent: "+tt.setting, 1)
				text = strings.Replace(text, "key_prefix: e2e", "key_prefix: "+tt.kind+tt.setting, 1)
				r := start(t, rigOptions{config: text, redis: redis})
				c := r.somebody("shop")
				r.tap(c, "vip")
				want, greeting := simulator.Answer{Kind: simulator.AnswerTransfer}, "greeting  of vip"
				if tt.named {
					want.KfAccount, greeting = "kf2003@gh_shop", "greeting zhao of vip"
				}
				if got := r.reads(c, 1)[0]; got != greeting {
					t.Errorf("greeted with %q, want %q", got, greeting)
				}
				if got := answer(t, r.say(c, "hello")); got != want {
					t.Errorf("answered with %s, want %s", got, want)
				}
				r.decided(c, "zhao", kefu.ReasonKept) // decided for him all the same
				r.well()
			})
		}
	})
}
