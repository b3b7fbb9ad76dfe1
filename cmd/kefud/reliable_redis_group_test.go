package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/soak"
	"kefud/store"
)

// electionTime is how long sentinels and nodes may take to agree. A sentinel that
// was kept from work for 2 s does nothing for 30 s.
const electionTime = 2 * time.Minute

// The master dies or freezes, and sentinels make the replica the master. What the
// old one had confirmed and not yet passed on is lost; nothing else is.
func TestReliableRedisSentinel(t *testing.T) {
	t.Parallel()
	config := strings.Replace(crowdedConfig, "redis: {", "redis: {master_name: kefud-test, ", 1)
	for _, tt := range []struct {
		row  string
		fail func(*redistest.Server)
		join func(*redistest.Server) // the old master comes back, and still takes itself for one
	}{
		{"redis-sentinel", (*redistest.Server).Kill, (*redistest.Server).Restart},
		{"redis-sentinel-frozen", (*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run(tt.row, func(t *testing.T) {
			t.Parallel()
			w := redistest.Sentinel(t)
			o := rigOptions{config: config, env: crowdedEnv(), addr: strings.Join(redistest.Addrs(w.Sentinels), ",")}
			o.env["REDIS_USER"], o.env["REDIS_PASSWORD"] = "", ""
			f := launchFleet(t, 2, o)
			c := f.gather()
			held := c.holders()

			struck := time.Now()
			c.lossy, c.struck = true, struck
			tt.fail(w.Master)
			within(t, electionTime, "the replica is the master", w.Replica.Masters)
			back := time.Now()
			r := c.recovers(back)
			tt.join(w.Master)
			if soak.Pick(tt.row == "redis-sentinel-frozen", true) { // it takes the sentinels 8 s
				within(t, electionTime, "the old master follows", func() bool { return !w.Master.Masters() })
			}
			endure(time.Second, 30*time.Second)
			f.everyProcess("that it is well", `"status":"ready"`)
			lost := c.lost()
			c.judge(held, store.Options{Addrs: redistest.Addrs(w.Sentinels), MasterName: w.Name})
			soak.Measured(t, tt.row, "%s; without a master for %s; %s; the slowest answer took %s", r, soon(back.Sub(struck)), lost, soon(c.slowest()))
		})
	}
}

// A node of a cluster dies, and its replica or the node itself, started again on
// what it had written down, takes its place.
func TestReliableRedisCluster(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		row     string
		replica bool
	}{
		{"redis-cluster", true},
		{"redis-cluster-restart", false},
	} {
		t.Run(tt.row, func(t *testing.T) {
			t.Parallel()
			nodes := redistest.Cluster(t, "--appendonly", "yes")
			// The node that has the seats of all agents, without which nobody new is served.
			node := redistest.Owner(t, nodes, "{agents}")
			o := rigOptions{config: crowdedConfig, env: crowdedEnv(), addr: strings.Join(redistest.Addrs(nodes), ",")}
			o.env["REDIS_USER"], o.env["REDIS_PASSWORD"] = "", ""
			var replica *redistest.Server
			if tt.replica {
				replica = redistest.Follow(t, nodes, node)
			}
			f := launchFleet(t, 2, o)
			c := f.gather()
			held := c.holders()

			struck := time.Now()
			c.lossy, c.struck = tt.replica, struck
			node.Kill()
			if tt.replica {
				within(t, electionTime, "the replica is the master", replica.Masters)
			} else {
				f.everyProcess("what is broken", `"store":{"state":"degraded"`)
				node.Restart()
			}
			redistest.Whole(t, nodes)
			back := time.Now()
			r := c.recovers(back)
			endure(time.Second, 30*time.Second)
			f.everyProcess("that it is well", `"status":"ready"`)
			lost := c.lost()
			c.judge(held, store.Options{Addrs: redistest.Addrs(nodes)})
			soak.Measured(t, tt.row, "%s; without the node for %s; %s; the slowest answer took %s", r, soon(back.Sub(struck)), lost, soon(c.slowest()))
		})
	}
}

// lossWindow is how long before a master's death a customer may have been
// assigned for that to be lost with it.
const lossWindow = time.Second

// excused reports whether a customer's assignment may have been lost.
func (c *crowd) excused(v *visitor) bool {
	return c.lossy && len(v.named) > 0 && v.since.After(c.struck.Add(-lossWindow)) && v.since.Before(c.struck.Add(slackTime))
}

// lost ends the traffic and tells of those who have another agent than they had.
func (c *crowd) lost() string {
	c.disperse()
	had, lost, window := 0, 0, time.Duration(0)
	for _, v := range c.visitors {
		if len(v.named) == 0 || v.since.After(c.struck) {
			continue
		}
		if had++; len(firsts(v.named)) > 1 {
			lost++
			window = max(window, c.struck.Sub(v.since))
		}
	}
	if lost == 0 {
		return fmt.Sprintf("none of %d customers lost his agent", had)
	}
	return fmt.Sprintf("%d of %d customers lost their agents, assigned %s before at most", lost, had, soon(window))
}
