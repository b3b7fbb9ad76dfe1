package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

func TestRepeatGetsTheSameBytes(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis})
		c := r.somebody("shop")
		r.tap(c, "cs1")
		push := c.Text("is it there?")
		first := answer(t, r.send(push))
		r.clock.advance(3 * time.Second) // WeChat pushes again seconds later
		r.goes("shop", "wang")           // whatever has changed meanwhile
		for range 2 {
			result, err := push.Repush(t.Context())
			must(t, err)
			if got := answer(t, result); got != first || got.KfAccount != r.account("wang") {
				t.Errorf("first answered with %s, then with %s", first, got)
			}
			r.decided(c, "wang", kefu.ReasonRepeat)
		}
		if all := slices.Compact(r.wire.to(push)); len(all) != 1 {
			t.Errorf("a repeat has other bytes than the first answer:\n%s", strings.Join(all, "\n"))
		}
		if n := r.metric("kefud_decisions_total", `app="shop"`, `reason="repeat"`); n != 2 {
			t.Errorf("%v repeats counted, want 2", n)
		}
		r.well()
	})
}

// An answer that was lost on its way, so that WeChat pushes again by itself.
func TestLostAnswerIsGivenAgain(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis})
		heal := r.box.BreakPushes(simulator.PushBreak{DropAnswers: 2})
		defer heal()
		c := r.somebody("shop")
		for _, push := range []*simulator.Push{c.Enter("cs2"), c.Text("hello")} {
			result, err := push.Send(t.Context())
			must(t, err)
			if len(result.Attempts) != 3 || !result.Attempts[2].Heard {
				t.Fatalf("the exchange went %+v", result.Attempts)
			}
		}
		if len(r.agents["li"].Serving()) != 1 {
			t.Errorf("Li serves %d customers", len(r.agents["li"].Serving()))
		}
		if got := r.reads(c, 1); len(got) != 1 {
			t.Errorf("the customer was greeted %d times", len(got))
		}
		r.well()
	})
}

func TestPushSentTwiceAtOnceIsAnsweredTheSame(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		// Nobody is served, so that every message comes to the server.
		r := start(t, rigOptions{
			config: strings.Replace(smallConfig, "[{agent: wang}, {agent: li}]", "[{group: presale}]", 1), redis: redis,
			account: func(o *simulator.AccountOptions) { o.Naming = simulator.NamingIgnored },
			agent:   func(o *simulator.AgentOptions) { o.Manual = true },
		})
		const people = 10
		for range people {
			c := r.somebody("shop")
			for _, push := range []*simulator.Push{c.Text("first words"), c.Enter("cs1"), c.Text("hello")} {
				results, err := push.SendTwice(t.Context())
				must(t, err)
				if a, b := answer(t, results[0]), answer(t, results[1]); a != b {
					t.Errorf("answered with %s and with %s", a, b)
				}
				if bytes := slices.Compact(r.wire.to(push)); len(bytes) > 1 {
					t.Errorf("the same push was answered with other bytes:\n%s", strings.Join(bytes, "\n"))
				}
			}
			if got := r.reads(c, 1); len(got) != 1 {
				t.Errorf("the customer was told %q", got)
			}
		}
		if n := r.metric("kefud_decisions_total", `reason="repeat"`); n != 3*people {
			t.Errorf("%v repeats counted, want %d", n, 3*people)
		}
		r.well()
	})
}
