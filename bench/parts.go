package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const known = 10_000 // customers who write again and again

// The kinds of pushes: of who is known, and of one new customer after the other.
var kinds = []kind{{"known", known, 0}, {"new", 0, strangers}}

type kind struct {
	name  string
	known int
	first int64 // number of the first push
}

// nodes is the part about a Redis Cluster.
func (s *scaling) nodes(ctx context.Context) (string, error) {
	names := []string{"one server", "cluster of 1", "cluster of 2", "cluster of 3"}
	fleets := make([]fleet, len(names))
	defer func() {
		for _, f := range fleets {
			f.stop()
		}
	}()
	var inside, outside []*site
	for size, name := range names {
		var err error
		if size == 0 {
			var n *node
			n, err = s.node(ctx)
			fleets[0] = fleet{n}
		} else {
			fleets[size], err = s.cluster(ctx, size)
		}
		if err != nil {
			return "", err
		}
		addrs := fleets[size].addrs(size > 0)
		t, err := newTown(ctx, addrs, 0)
		if err != nil {
			return "", err
		}
		defer func() { _ = t.store.Close() }()
		p, err := s.serve(ctx, redisLine(addrs), "plain")
		if err != nil {
			return "", err
		}
		defer p.stop()
		for _, k := range kinds {
			inside = append(inside, &site{name: name + ", " + k.name, redis: fleets[size], town: t, known: k.known, next: k.first})
			outside = append(outside, &site{name: name + ", " + k.name, redis: fleets[size], servers: []*process{p}, known: k.known, next: k.first})
		}
	}
	loads, err := s.turns(ctx, slices.Concat(inside, outside))
	if err != nil {
		return "", err
	}
	slots, err := slotTable(ctx, fleets[3][0].client)
	if err != nil {
		return "", err
	}
	return "## A Redis Cluster\n\nA new customer's push is three scripts, a known one's is one. With two cores for all of it req/s cannot grow with nodes; " +
		"what grows is room: the work of a push is spread over the nodes, so that each has less to do for it.\n\n" +
		fmt.Sprintf("### The store, %d callers in one process\n\n", s.conns) + loadTable(inside, loads[:len(inside)], "process") +
		"\n### One kefud process\n\n" + loadTable(outside, loads[len(inside):], "kefud") + "\n" + slots, nil
}

// slotTable tells how partitions fall on nodes: Redis says which slot each has.
func slotTable(ctx context.Context, c *redis.Client) (string, error) {
	var w strings.Builder
	w.WriteString("### Partitions over nodes\n\nPartitions a node, the most / the mean, for nodes with equal shares of the slots.\n\n| partitions | 2 nodes | 3 | 6 | 12 |\n|---|---|---|---|---|\n")
	for _, p := range []int{16, 64, 256, 1024} {
		of := make([]int64, p)
		for i := range of {
			var err error
			if of[i], err = c.ClusterKeySlot(ctx, "{"+strconv.Itoa(i)+"}").Result(); err != nil {
				return "", fmt.Errorf("slot: %w", err)
			}
		}
		fmt.Fprintf(&w, "| %d ", p)
		for _, nodes := range []int{2, 3, 6, 12} {
			each := make([]int, nodes)
			for _, slot := range of {
				each[int(slot)*nodes/slots]++
			}
			most, _ := shares(each)
			fmt.Fprintf(&w, "| %d / %.1f ", slices.Max(each), float64(slices.Max(each))/most)
		}
		w.WriteString("|\n")
	}
	w.WriteString("\nThe seats of all agents have one slot, and so one node, which every new customer's second script goes to.\n")
	return w.String(), nil
}

// processes is the part about several kefud on one Redis.
func (s *scaling) processes(ctx context.Context) (string, error) {
	n, err := s.node(ctx)
	if err != nil {
		return "", err
	}
	defer n.stop()
	var servers []*process
	for range 3 {
		p, err := s.serve(ctx, redisLine(fleet{n}.addrs(false)), "plain")
		if err != nil {
			return "", err
		}
		defer p.stop()
		servers = append(servers, p)
	}
	const gently = 1000 // pushes a second, which a part of a core can take
	var sites []*site
	for _, k := range slices.Concat(kinds, []kind{{"known", known, 5_000_000_000}}) {
		for i := range servers {
			t := &site{
				name: fmt.Sprintf("%d, %s", i+1, k.name), redis: fleet{n}, servers: servers[:i+1], known: k.known,
				next: k.first + int64(i)*1_000_000_000, // they meet the same Redis, and must be new to it
			}
			if k.first > 0 && k.known > 0 {
				t.name, t.pace = fmt.Sprintf("%s, %d/s each", t.name, gently), gently
			}
			sites = append(sites, t)
		}
	}
	loads, err := s.turns(ctx, sites)
	if err != nil {
		return "", err
	}
	size, err := s.sizes(ctx, fleet{n})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("## kefud processes on one Redis\n\n%d connections to each, pushes in plain XML. Saturated, all of them share two cores with Redis and the generator: req/s cannot grow, "+
		"and a push takes more CPU, because of those that wait fewer are with the same process and go out to Redis together. At a rate that the cores can take, each process adds its own.\n\n", s.conns) + loadTable(sites, loads, "kefud, all") + "\n" + size, nil
}

// sizes tells how long a push and its answer are.
func (s *scaling) sizes(ctx context.Context, f fleet) (string, error) {
	text := "A push and its answer, with their HTTP heads:"
	for _, mode := range []string{"plain", "safe"} {
		p, err := s.serve(ctx, redisLine(f.addrs(false)), mode)
		if err != nil {
			return "", err
		}
		defer p.stop()
		sh := shape{safe: mode == "safe"}
		want := "transfer_customer_service"
		if sh.safe {
			want = "Encrypt"
		}
		m, err := newMold(sh, 1)
		if err != nil {
			return "", err
		}
		g, err := newGenerator(ctx, p.addr, m, want, 1)
		if err != nil {
			return "", err
		}
		defer g.close()
		if err := g.first(2); err != nil {
			return "", err
		}
		text += fmt.Sprintf(" %d and %d bytes in %s XML,", len(m.request), length(g.conns[0].in), mode)
	}
	return strings.TrimSuffix(text, ",") + ".\n", nil
}

// partitions is the part about what more of them cost.
func (s *scaling) partitions(ctx context.Context) (string, error) {
	var sites []*site
	for _, p := range []int{16, 256, 1024, 4096} {
		n, err := s.node(ctx)
		if err != nil {
			return "", err
		}
		defer n.stop()
		server, err := s.serve(ctx, fmt.Sprintf("{partitions: %d, addrs: %q}", p, n.addr), "plain")
		if err != nil {
			return "", err
		}
		defer server.stop()
		sites = append(sites, &site{name: strconv.Itoa(p), redis: fleet{n}, servers: []*process{server}, known: known})
	}
	if err := wait(ctx, 3*time.Second); err != nil {
		return "", err
	}
	idle := make([][]load, len(sites))
	for range s.rounds {
		before := make([]reading, len(sites))
		for i, t := range sites {
			var err error
			if before[i], err = read(ctx, t.servers, t.redis); err != nil {
				return "", err
			}
		}
		if err := wait(ctx, s.d); err != nil {
			return "", err
		}
		for i, t := range sites {
			after, err := read(ctx, t.servers, t.redis)
			if err != nil {
				return "", err
			}
			idle[i] = append(idle[i], after.since(before[i], 1))
		}
	}
	loads, err := s.turns(ctx, sites)
	if err != nil {
		return "", err
	}
	var w strings.Builder
	w.WriteString("## Partitions\n\nEach kefud process asks once a second, in one round trip, in which partitions something has come due. One process that has nothing else to do, and the same under load (known customers):\n\n" +
		"| partitions | idle: commands/s, those in scripts as well | kefud, % of a core | Redis, % of a core | under load: CPU µs a push, kefud | Redis |\n|---|---|---|---|---|---|\n")
	for i, t := range sites {
		idly := func(format string, f func(load) float64) string { return spanOf(idle[i], format, f) }
		busy := func(f func(load) float64) string { return spanOf(loads[i], "%.1f", f) }
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %s | %s |\n", t.name,
			idly("%.0f", func(l load) float64 { return l.commands * l.rate }), idly("%.1f", func(l load) float64 { return l.server * l.rate / 1e4 }),
			idly("%.1f", func(l load) float64 { return l.redis * l.rate / 1e4 }),
			busy(func(l load) float64 { return l.server }), busy(func(l load) float64 { return l.redis }))
	}
	return w.String(), nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
