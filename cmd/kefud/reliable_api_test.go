package main

import (
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// apiFaults is what WeChat's API may suffer from. Those that leave it to the
// caller whether a call had an effect may have things come twice.
func apiFaults() []apiFault {
	return []apiFault{
		{row: "api-down", strike: goesDown, stops: "unanswered", twice: true},
		{row: "api-reset", broken: simulator.APIBreak{Reset: true}, stops: "unanswered"},
		{row: "api-slow", broken: simulator.APIBreak{Latency: 5 * time.Second}, stops: "unanswered", twice: true, env: map[string]string{"API_TIMEOUT": "2s"}},
		{row: "api-500", broken: simulator.APIBreak{Status: 500}, stops: "unanswered"},
		{row: "api-truncated", broken: simulator.APIBreak{Truncate: true}, stops: "unanswered", twice: true},
		{row: "api-html", broken: simulator.APIBreak{Status: 502}, stops: "unanswered"},
		{row: "api-html-200", broken: simulator.APIBreak{Status: 200}, stops: "unanswered"},
		{row: "api-busy", broken: simulator.APIBreak{ErrCode: -1}},
		{row: "api-one-customer", broken: simulator.APIBreak{Path: sendPath, ErrCode: 40003}, front: true},
		{row: "api-token-taken", strike: revokesTokens},
		{row: "api-quota", broken: simulator.APIBreak{Path: sendPath, ErrCode: 45009}, stops: "quota"},
		{row: "api-address", broken: simulator.APIBreak{ErrCode: 40164}, stops: "ip_not_allowed"},
	}
}

// Whatever WeChat's API suffers from, callbacks are answered in time, what is owed
// is kept in its order, and goes out when the API works again. Calls that nobody
// answers, or that are refused whatever is in them, are stopped but for one now and
// then; an errcode that concerns one customer stops nothing.
//
// All faults strike at the same time, each a server of its own: a minute of each
// is a minute.
func TestReliableAPI(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	var all []*apiTrial
	for _, f := range apiFaults() {
		all = append(all, newAPITrial(t, redis, f))
	}
	const guests = 2
	for _, a := range all {
		for range guests {
			a.visit()
		}
		a.traffic.more(20)
	}
	for _, a := range all {
		a.begins()
	}
	began := time.Now()
	for range guests {
		for _, a := range all {
			a.visit()
		}
	}
	for _, a := range all {
		a.stopped()
	}
	<-time.After(outageOf() - time.Since(began))
	for _, a := range all {
		a.ends()
	}
	for _, a := range all {
		a.visit() // or an app whose greetings are all too late by now has nothing to try its API with
	}
	within(t, 2*patience+outageOf(), "what was kept goes out", func() bool {
		done := true
		for _, a := range all {
			done = a.catchesUp() && done
		}
		return done
	})
	for _, a := range all {
		a.traffic.stopped.Store(true)
	}
	for _, a := range all {
		t.Log(a.row)
		a.settles()
	}
}
