package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// shortIdle makes conversations end soon, for tests of what comes after.
var shortIdle = map[string]string{"IDLE": "1s"}

func TestThreeButtonsLeadToThreeAgents(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis})
		for tag, agent := range map[string]string{"cs1": "wang", "cs2": "li", "vip": "zhao"} {
			c := r.somebody("shop")
			r.tap(c, tag)
			r.decided(c, agent, kefu.ReasonStep)
			r.reaches(c, agent)
			r.decided(c, agent, kefu.ReasonKept)
			if got, want := r.reads(c, 1)[0], "greeting "+agent+" of "; !strings.HasPrefix(got, want) {
				t.Errorf("%s was greeted with %q, want %q…", tag, got, want)
			}
		}
		r.well()
	})
}

func TestReturningCustomerGetsHisOwner(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis, env: shortIdle})
		c := r.somebody("shop")
		r.goes("shop", "wang")
		r.tap(c, "cs1") // Wang is away, so Li gets the customer for good
		r.reaches(c, "li")
		r.comes("shop", "wang")
		r.idle(c)
		r.reaches(c, "li")
		r.decided(c, "li", kefu.ReasonOwner)
		r.idle(c)
		r.tap(c, "cs1")
		r.reaches(c, "li")
		r.well()
	})
}

func TestStandInServesAndTheOwnerGetsHisCustomerBack(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis, env: shortIdle})
		c := r.somebody("shop")
		r.tap(c, "cs1")
		r.reaches(c, "wang")
		r.idle(c)

		r.goes("shop", "wang")
		r.reaches(c, "li")
		r.decided(c, "li", kefu.ReasonStandIn)
		r.comes("shop", "wang")
		r.idle(c)

		r.reaches(c, "wang")
		r.decided(c, "wang", kefu.ReasonOwner)
		r.well()
	})
}

func TestOwnerWhoGoesInTheMiddleIsReplacedAndTheCustomerIsTold(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis})
		c := r.somebody("shop")
		r.tap(c, "cs1")
		r.reaches(c, "wang")
		r.goes("shop", "wang")
		r.reaches(c, "li")
		r.decided(c, "li", kefu.ReasonStandIn)
		if got := r.reads(c, 2)[1]; got != "reassigned li" {
			t.Errorf("the customer was told %q", got)
		}
		r.well()
	})
}

func TestThirdBorrowingInARowChangesTheOwner(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis, env: shortIdle})
		c := r.somebody("shop")
		r.tap(c, "cs1")
		r.reaches(c, "wang")
		r.goes("shop", "wang")
		for _, reason := range []kefu.Reason{kefu.ReasonStandIn, kefu.ReasonStandIn, kefu.ReasonOwnerChanged} {
			r.idle(c)
			r.reaches(c, "li")
			r.decided(c, "li", reason)
		}
		r.comes("shop", "wang")
		r.idle(c)
		r.reaches(c, "li")
		r.decided(c, "li", kefu.ReasonOwner)
		r.well()
	})
}

func TestEverybodyAwayEndsAtTheDesk(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: smallConfig, redis: redis})
		r.goes("shop", "wang", "li", "zhao")
		c := r.somebody("shop")
		for range 2 {
			r.tap(c, "cs1")
			r.decided(c, "", kefu.ReasonNobodyHeld)
		}
		for range 3 {
			result := r.say(c, "anybody there?")
			if got := answer(t, result); got != (simulator.Answer{Kind: simulator.AnswerTransfer}) {
				t.Errorf("answered with %s", got)
			}
			if result.Reach.Fate != simulator.FateQueued {
				t.Errorf("the message is %s", result.Reach.Fate)
			}
		}
		r.tap(c, "cs1")
		got := strings.Join(r.reads(c, 4), "|")
		const greeting = "greeting  of presale"
		if want := strings.Join([]string{greeting, greeting, "waiting 1", greeting}, "|"); got != want {
			t.Errorf("the customer was told %q, want %q", got, want)
		}

		r.comes("shop", "li")
		r.await("Li takes the customer", func() bool { return len(r.agents["li"].Serving()) == 1 })
		r.well()
		if n := len(notices(c)); n != 4 {
			t.Errorf("%d notices in all, want 4", n)
		}
	})
}

func TestFullAgentSendsTheNextCustomerToTheNextStep(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := start(t, rigOptions{config: strings.Replace(smallConfig, "{id: wang,", "{id: wang, capacity: 1,", 1), redis: redis})
		first, second := r.somebody("shop"), r.somebody("shop")
		r.tap(first, "cs1")
		r.reaches(first, "wang")
		r.tap(second, "cs1")
		r.decided(second, "li", kefu.ReasonStep)
		r.reaches(second, "li")
		r.reaches(first, "wang")
		r.well()
	})
}

func TestGroupSharesItsCustomersEvenly(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		text := strings.Replace(smallConfig, "[{agent: wang}, {agent: li}]", "[{group: presale}]", 1)
		r := start(t, rigOptions{config: text, redis: redis})
		for range 4 {
			c := r.somebody("shop")
			r.tap(c, "cs1")
			r.say(c, "hello")
		}
		if wang, li := len(r.agents["wang"].Serving()), len(r.agents["li"].Serving()); wang != 2 || li != 2 {
			t.Errorf("Wang has %d, Li has %d of four customers", wang, li)
		}
		r.well()
	})
}
