package main

import (
	"fmt"
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

const (
	sendPath  = "/cgi-bin/message/custom/send"
	tokenPath = "/cgi-bin/stable_token"
	listPath  = "/cgi-bin/customservice/getonlinekflist"
)

// slowPolls keeps presence from calling the API while a test counts calls. The
// one poll there is must not fail: on a busy machine its answer may take long.
var slowPolls = strings.Replace(smallConfig, "refresh: 100ms, stale_after: 20s", "refresh: 1m, stale_after: 5m", 1)

var unhurried = map[string]string{"API_TIMEOUT": "20s"}

// A trouble is what an app's API suffers from.
type trouble struct {
	name   string
	broken simulator.APIBreak
	twice  bool // the call takes effect all the same, so that it may be repeated in vain
}

func troubles() []trouble {
	return []trouble{
		{name: "reset", broken: simulator.APIBreak{Reset: true}},
		{name: "error500", broken: simulator.APIBreak{Status: 500}},
		{name: "html", broken: simulator.APIBreak{Status: 200}},
		{name: "busy", broken: simulator.APIBreak{ErrCode: -1}},
		{name: "minute-quota", broken: simulator.APIBreak{Path: sendPath, ErrCode: -1}},
		{name: "slow", broken: simulator.APIBreak{Path: sendPath, Latency: patience}, twice: true},
		{name: "cut", broken: simulator.APIBreak{Path: sendPath, Truncate: true}, twice: true},
	}
}

func TestTroubleWithTheAPIDelaysNoticesAndNothingElse(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		var agents, apps strings.Builder
		for i, tr := range troubles() {
			fmt.Fprintf(&agents, "  - {id: %s, desk: {app: %s, account: kf1@gh_%d}}\n", tr.name, tr.name, i)
			fmt.Fprintf(&apps, `
  - name: %s
    app_id: wx%016d
    app_secret: secret-%d
    original_id: gh_%d
    token: token-of-an-app
    presence: {refresh: 1s, stale_after: 1m}
    allowance: {after_message: 50, after_enter: 50} # a try that may have got through uses one up
    notices: {greeting: "greeting", waiting: ""}
    default_entry: cs1
    entries: [{tag: cs1, steps: [{agent: %[1]s}]}]
`, tr.name, i, i, i)
		}
		r := start(t, rigOptions{
			config: rigHead + "agents:\n" + agents.String() + "apps:" + apps.String(), redis: redis,
			env: map[string]string{"API_TIMEOUT": "500ms"},
		})
		var heal []func()
		people := map[string]*simulator.Customer{}
		for _, tr := range troubles() {
			tr.broken.Account = r.accounts[tr.name]
			heal = append(heal, r.box.BreakAPI(tr.broken))
		}
		for _, tr := range troubles() {
			c := r.somebody(tr.name)
			people[tr.name] = c
			for _, push := range []*simulator.Push{c.Enter("cs1"), c.Text("hello")} {
				result := r.send(push)
				r.answeredInTime(result)
			}
		}
		for _, tr := range troubles() {
			eventually(t, tr.name+" is noticed", func() bool {
				app := `app="` + tr.name + `"`
				return r.metric("kefud_wechat_calls_total", app, `op="send"`) > r.metric("kefud_wechat_calls_total", app, `op="send"`, `outcome="ok"`)
			})
		}
		for _, f := range heal {
			f()
		}
		for _, tr := range troubles() {
			got := r.reads(people[tr.name], 1)
			if len(got) > 1 && !tr.twice {
				t.Errorf("%s: the customer was greeted %d times", tr.name, len(got))
			}
		}
		if n := r.metric("kefud_degraded_total"); n != 0 {
			t.Errorf("%v answers were degraded", n)
		}
		r.well()
	})
}

func TestGreetingWhoseMinuteIsOverIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		text := strings.Replace(smallConfig, "default_entry: cs1", "default_entry: cs1\n    allowance: {after_enter_window: 1s}", 1)
		r := start(t, rigOptions{config: text, redis: redis})
		heal := r.box.BreakAPI(simulator.APIBreak{Path: sendPath, Status: 503})
		c := r.somebody("shop")
		r.tap(c, "cs1")
		r.counted("greeting", "dropped", "expired")
		heal()
		if got := notices(c); len(got) != 0 {
			t.Errorf("the customer was told %q", got)
		}
		eventually(t, "a greeting is sent, once the server trusts the API again", func() bool {
			// Dropped for whichever of the two is noticed first: expired here, or
			// WeChat's word that the minute is over.
			dropped := r.metric("kefud_outbox_deliveries_total", `outcome="dropped"`)
			r.tap(c, "cs1")
			eventually(t, "the next greeting is sent or dropped", func() bool {
				return len(notices(c)) > 0 || r.metric("kefud_outbox_deliveries_total", `outcome="dropped"`) > dropped
			})
			return len(notices(c)) > 0
		})
		if got := notices(c); len(got) != 1 {
			t.Errorf("later the customer was told %q", got)
		}
		r.well()
	})
}

// counted waits until one delivery has come to this end.
func (r *rig) counted(notice, outcome, reason string) {
	r.t.Helper()
	labels := []string{`notice="` + notice + `"`, `outcome="` + outcome + `"`, `reason="` + reason + `"`}
	eventually(r.t, fmt.Sprintf("a %s is counted as %s, %s", notice, outcome, reason), func() bool {
		return r.metric("kefud_outbox_deliveries_total", labels...) == 1
	})
}

func TestRefusedTokenIsReplacedOnceAndTheMessageDelivered(t *testing.T) {
	t.Parallel()
	for code, spoil := range map[int]func(*simulator.Account){
		40001: (*simulator.Account).RevokeTokens, 42001: (*simulator.Account).ExpireTokens,
	} {
		t.Run(itoa(code), func(t *testing.T) {
			t.Parallel()
			onStores(t, func(t *testing.T, redis *redistest.Server) {
				r := start(t, rigOptions{config: slowPolls, redis: redis, env: unhurried})
				before := r.box.Calls(tokenPath)[0]
				spoil(r.accounts["shop"])
				c := r.somebody("shop")
				r.tap(c, "cs1")
				r.reads(c, 1)
				if n := r.box.Calls(tokenPath)[0] - before; n != 1 {
					t.Errorf("%d tokens fetched, want 1", n)
				}
				if calls := r.box.Calls(sendPath); calls[code] != 1 || calls[0] != 1 {
					t.Errorf("sends by errcode: %v", calls)
				}
				r.well()
			})
		})
	}
}

func TestErrcodesThatNoRepeatCanHelpAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code            int
		outcome, reason string
	}{
		{45015, "dropped", "no_allowance"},
		{45047, "dropped", "no_allowance"},
		{48001, "buried", "unauthorized"},
	} {
		t.Run(itoa(tt.code), func(t *testing.T) {
			t.Parallel()
			onStores(t, func(t *testing.T, redis *redistest.Server) {
				r := start(t, rigOptions{config: slowPolls, redis: redis, env: unhurried})
				heal := r.box.BreakAPI(simulator.APIBreak{Path: sendPath, ErrCode: tt.code})
				c := r.somebody("shop")
				r.tap(c, "cs1")
				r.counted("greeting", tt.outcome, tt.reason)
				heal()
				r.tap(c, "cs1")
				r.reads(c, 1)
				if calls := r.box.Calls(sendPath); calls[tt.code] != 1 || calls[0] != 1 {
					t.Errorf("sends by errcode: %v", calls)
				}
				if tt.outcome == "buried" {
					if !strings.Contains(r.log.String(), `"level":"error","error":"send for app shop: errcode `+itoa(tt.code)) {
						t.Error("no line in the log calls a human")
					}
					eventually(t, "the burial is in the gauge", func() bool { return r.metric("kefud_outbox_buried") == 1 })
				}
				r.well()
			})
		})
	}
}

func TestListThatCannotBeHadAgesUntilNobodyIsNamed(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: strings.Replace(smallConfig, "stale_after: 20s", "stale_after: 1s", 1), redis: redis})
		before := r.somebody("shop")
		r.tap(before, "cs1")
		r.reaches(before, "wang")
		heal := r.box.BreakAPI(simulator.APIBreak{Path: listPath, ErrCode: -1})
		r.knows("shop", "wang", kefu.PresenceUnknown)
		for _, c := range []*simulator.Customer{before, r.somebody("shop")} {
			n := len(notices(c))
			r.tap(c, "cs1")
			if got := r.reads(c, n+1)[n]; got != "greeting  of presale" {
				t.Errorf("the customer was told %q", got)
			}
			r.reaches(c, "")
			r.decided(c, "", kefu.ReasonPool)
			if got := notices(c); len(got) != n+1 {
				t.Errorf("the customer was told to wait: %q", got)
			}
		}
		heal()
		r.knows("shop", "wang", kefu.PresenceOnline)
		r.reaches(before, "wang")
		r.well()
	})
}

// A mini-program's list with an empty kf_account, where agents are known by
// their openids alone.
func TestAgentIsRecognizedByHisOpenIDWhereTheListHasNoAccounts(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		text := strings.Replace(smallConfig, "account: kf2001@gh_shop}", "account: kf2001@gh_shop, openid: oKefuWang}", 1)
		text = strings.Replace(text, "account: kf2002@gh_shop}", "openid: oKefuLi}", 1)
		r := newRig(t, rigOptions{config: text, redis: redis, account: func(o *simulator.AccountOptions) { o.ShowKfAccounts = false }})
		r.knows("shop", "wang", kefu.PresenceOnline)
		r.knows("shop", "li", kefu.PresenceOnline)
		if got := r.standing("shop", "zhao"); got != kefu.PresenceUnknown {
			t.Errorf("an agent whom the list cannot tell of is %s", got)
		}
		c := r.somebody("shop")
		r.tap(c, "cs1")
		r.reaches(c, "wang") // the config knows his account
		r.goes("shop", "wang")
		r.say(c, "hello")
		if got := r.decision(c); got.Agent != "li" || got.Reply != "transfer" {
			t.Errorf("an agent without a known account: %s", got) // chosen, and cannot be named
		}
		r.well()
	})
}
