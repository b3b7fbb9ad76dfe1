package main

import (
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
	"kefud/store"
)

// The clocks of two processes on one Redis differ by five minutes. Customers go
// from one to the other and stay with their agents, each process names agents,
// also when the one that asked WeChat who is there has gone.
func TestReliableRedisClock(t *testing.T) {
	t.Parallel()
	const apart = 5 * time.Minute
	for _, tt := range []struct{ row, first, second string }{
		{"redis-clock", apart.String(), "0s"},
		{"redis-clock-behind", "0s", apart.String()},
	} {
		t.Run(tt.row, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			o := rigOptions{config: crowdedConfig, redis: redis, env: crowdedEnv()}
			o.env["REDIS_USER"], o.env["REDIS_PASSWORD"], o.env[clockAhead] = "", "", tt.first
			f := launchFleet(t, 1, o)
			f.env = append(f.env, clockAhead+"="+tt.second)
			f.add()
			f.ready(f.urls[1])
			f.take()
			f.box.BreakAPI(simulator.APIBreak{Path: sendPath, Latency: 300 * time.Millisecond}) // as from afar
			began := time.Now()
			c := f.gather()
			held := c.holders()
			endure(3*time.Second, 90*time.Second)
			for _, p := range f.processes {
				if !strings.Contains(p.log.String(), `"reply":"transfer_named"`) {
					t.Error("a process named nobody")
				}
			}
			f.logs(f.processes[1], "another replica's clock differs")
			dropped := droppedAt(t, f.urls[0])
			f.urls = f.urls[1:]
			f.take()
			f.leaves(f.processes[0]) // the one that asks WeChat
			endure(3*time.Second, 90*time.Second)
			f.everyProcess("that it is well", `"status":"ready"`)
			c.disperse()
			during := c.during(began, time.Now())
			if during.plain > 0 {
				t.Errorf("%s", during)
			}
			dropped += droppedAt(t, f.urls[0])
			c.judge(held, store.Options{Addrs: []string{redis.Addr}})
			soak.Measured(t, tt.row, "%s; %.0f of the notices to %d newcomers were dropped as too late; the slowest answer took %s",
				during, dropped, len(c.visitors)-len(c.regulars), soon(c.slowest()))
		})
	}
}

// droppedAt counts notices that a process took for too late to be sent.
func droppedAt(t *testing.T, url string) float64 {
	t.Helper()
	return metric(t, url, "kefud_outbox_deliveries_total", `outcome="dropped"`)
}
