package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/handler"
	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
	"kefud/kefu"
)

// All tokens end while many messages go out at once: one token is fetched, and
// every message comes once, without being put off.
func TestReliableAPITokenExpiry(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: unlimited(slowPolls), redis: redistest.Start(t), env: unhurried})
	var people []*simulator.Customer
	for range soak.Pick(40, 100) {
		people = append(people, r.somebody("shop"))
	}
	fetched, refused, sent := r.box.Calls(tokenPath)[0], r.box.Calls(sendPath)[42001], r.box.Calls(sendPath)[0]
	r.accounts["shop"].ExpireTokens()
	began := time.Now()
	var taps []func()
	for _, c := range people {
		taps = append(taps, func() {
			if _, err := c.Enter("cs1").Send(t.Context()); err != nil {
				t.Errorf("tap: %v", err)
			}
		})
	}
	together(taps...)
	for _, c := range people {
		r.reads(c, 1)
	}
	took := time.Since(began)
	fetched, refused = r.box.Calls(tokenPath)[0]-fetched, r.box.Calls(sendPath)[42001]-refused
	if fetched != 1 || refused < 1 || refused > len(people) {
		t.Errorf("%d tokens fetched after %d refusals, want one", fetched, refused)
	}
	if n := r.box.Calls(sendPath)[0] - sent; n != len(people) {
		t.Errorf("%d messages taken by WeChat, want %d", n, len(people))
	}
	for _, c := range people {
		if got := notices(c); len(got) != 1 {
			t.Errorf("a customer was greeted %d times", len(got))
		}
	}
	if n := r.metric("kefud_outbox_deliveries_total", `outcome="retry"`); n != 0 {
		t.Errorf("%v deliveries were put off", n)
	}
	r.well()
	soak.Measured(t, "api-token-expiry", "%d messages at once: %d calls refused with 42001, %d token fetched, all out after %.1f s", len(people), refused, fetched, took.Seconds())
}

// WeChat refuses what agents answer until the app has the permission. What it
// refused is listed with the reason, and put back by command, while the server
// goes on; it comes once, and in order, however often it is put back.
func TestReliableOutboxRetry(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		o := rigOptions{config: apiConfig, redis: redis, env: map[string]string{"ALLOWED": "100000", "BUDGET": "4s", "API_TIMEOUT": "10s"}}
		r := start(t, o)
		ask := func(args ...string) (int, string) {
			if redis == nil {
				args = append(args, "--server", r.url)
			}
			return r.command(o, append([]string{"outbox"}, args...)...)
		}
		wang := r.bound("wang")[0]
		people := r.patrons(2, "one")
		for i, p := range people {
			p.relayed(1)
			wang.reads(line(i+1, "售前", p.name+"-0001"))
		}
		heal := r.box.BreakAPI(simulator.APIBreak{Path: sendPath, Account: r.accounts["shop"], ErrCode: 48001})
		n := soak.Pick(4, 12)
		var want [2][]string
		for k := range n {
			for i := range people {
				text := fmt.Sprintf("机密%d", k)
				wang.says(fmt.Sprintf("#%d %s", i+1, text))
				want[i] = append(want[i], text)
			}
		}
		var buried []string
		eventually(t, "all is buried", func() bool {
			buried = nil
			for _, d := range r.list(kefu.OwedBuried) {
				if d.Kind != "answer" || d.Reason != "unauthorized" || d.Code != 48001 || d.Agent != "wang" || d.Until.IsZero() {
					t.Fatalf("buried: %+v", d)
				}
				buried = append(buried, d.ID)
			}
			return len(buried) == 2*n
		})
		within(t, patience, "the burials are in the gauge", func() bool { return r.metric("kefud_outbox_buried") == float64(2*n) })

		code, page := ask("list", "--buried", "--app", "shop")
		if code != exitDone || strings.Count(page, "unauthorized (errcode 48001): the app has no permission for this API") != 2*n {
			t.Errorf("exit code %d:\n%s", code, page)
		}
		for _, secret := range []string{"机密", people[0].user.OpenID(), "secret-of-shop"} {
			if strings.Contains(page, secret) {
				t.Errorf("%q stands in:\n%s", secret, page)
			}
		}

		heal()
		for i := range people {
			wang.says(fmt.Sprintf("#%d 先到", i+1))
			want[i] = append([]string{"先到"}, want[i]...)
			r.hears(people[i].user, "先到")
		}
		began := time.Now()
		var pages [2]string
		together(func() { _, pages[0] = ask("retry", "--all", "--app", "shop") }, func() { _, pages[1] = ask("retry", "--all") })
		r.await("all is delivered", func() bool { return len(people[0].heard()) > n && len(people[1].heard()) > n })
		took := time.Since(began)
		code, page = ask(append([]string{"retry"}, buried...)...)
		if code != exitDone || strings.Count(page, "was put back before") != 2*n {
			t.Errorf("once more, exit code %d:\n%s\nbefore:\n%s", code, page, pages)
		}
		for i, p := range people {
			wang.says(fmt.Sprintf("#%d 最后", i+1)) // whatever came twice would have come before
			r.hears(p.user, "最后")
			if got := p.heard(); !slices.Equal(got, append(want[i], "最后")) {
				t.Errorf("%s heard\n%q\nwant\n%q, and the last", p.name, got, want[i])
			}
		}
		left := slices.DeleteFunc(append(r.list(kefu.OwedBuried), r.list(kefu.OwedWaiting)...), func(d handler.Owed) bool { return d.Kind != "answer" })
		if len(left) > 0 {
			t.Errorf("still owed: %+v", left)
		}
		code, page = ask("retry", "0.00000000.1-1")
		if code != exitFailed || !strings.Contains(page, "no such delivery is buried") {
			t.Errorf("of one that there is not: exit code %d, %s", code, page)
		}
		r.well()
		if redis != nil {
			soak.Measured(t, "outbox-retry", "%d answers buried, put back by two commands at once: each delivered once, in order, %.1f s after the commands were started", 2*n, took.Seconds())
		}
	})
}
