package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A load is what one round of a row measured; CPU in µs and traffic in bytes a push.
type load struct {
	rate, server, redis float64
	nodes               []float64 // of redis, each node's
	in, out             float64   // of Redis
	scripts, commands   float64   // commands: those in scripts as well
	generator           float64   // this process
}

// A reading is what a load is reckoned from.
type reading struct {
	at                         time.Time
	own, server                time.Duration
	nodes                      []float64 // µs of CPU
	in, out, scripts, commands float64
}

func read(ctx context.Context, servers []*process, f fleet) (reading, error) {
	r := reading{own: own()}
	for _, p := range servers {
		r.server += p.cpu()
	}
	for _, n := range f {
		v, err := n.numbers(ctx, "used_cpu_user:", "used_cpu_sys:",
			"total_net_input_bytes:", "total_net_output_bytes:", "cmdstat_evalsha:calls=", "total_commands_processed:")
		if err != nil {
			return r, err
		}
		r.nodes = append(r.nodes, (v[0]+v[1])*1e6)
		r.in, r.out, r.scripts, r.commands = r.in+v[2], r.out+v[3], r.scripts+v[4], r.commands+v[5]
	}
	r.at = time.Now()
	return r, nil
}

// since is the load between two readings.
func (r reading) since(was reading, pushes int64) load {
	n := float64(pushes)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / n }
	l := load{
		rate: n / r.at.Sub(was.at).Seconds(), server: us(r.server - was.server), generator: us(r.own - was.own),
		in: (r.in - was.in) / n, out: (r.out - was.out) / n,
		scripts: (r.scripts - was.scripts) / n, commands: (r.commands - was.commands) / n,
	}
	for i := range r.nodes {
		l.nodes = append(l.nodes, (r.nodes[i]-was.nodes[i])/n)
		l.redis += l.nodes[i]
	}
	return l
}

// A site is some kefud processes, or a town in this one, on a Redis.
type site struct {
	name    string
	redis   fleet
	town    *town
	servers []*process
	known   int // customers who write again and again; 0 = each push is a new one's
	next    int64
	pace    float64 // pushes a second to each process; 0 = as many as it takes
}

// strangers is the number of the first customer who is in nobody's known.
const strangers = 500_000_000_000

// under puts the site under load for d.
func (s *scaling) under(ctx context.Context, t *site) (load, error) {
	before, err := read(ctx, t.servers, t.redis)
	if err != nil {
		return load{}, err
	}
	var pushes int64
	if t.town != nil {
		pushes, err = s.inside(ctx, t)
	} else {
		pushes, err = s.outside(ctx, t)
	}
	if err != nil {
		return load{}, fmt.Errorf("%s: %w", t.name, err)
	}
	after, err := read(ctx, t.servers, t.redis)
	return after.since(before, pushes), err
}

// inside calls the router, from as many goroutines as there would be connections.
func (s *scaling) inside(ctx context.Context, t *site) (int64, error) {
	end, from := time.Now().Add(s.d), t.next
	var mu sync.Mutex
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		t.next++
		if t.known > 0 {
			return int(t.next) % t.known
		}
		return int(t.next)
	}
	t.town.at(time.Now())
	err := many(s.conns, 1<<30, func(int) error {
		if time.Now().After(end) {
			return errOver
		}
		return t.town.write(ctx, take())
	})
	if errors.Is(err, errOver) {
		err = nil
	}
	return t.next - from, err
}

var errOver = errors.New("over")

// outside sends pushes to the processes, over as many connections to each.
func (s *scaling) outside(ctx context.Context, t *site) (int64, error) {
	errs, sent := make([]error, len(t.servers)), make([]int64, len(t.servers))
	var all sync.WaitGroup
	for i, p := range t.servers {
		const apart = 10_000_000_000 // so that no two processes get the same MsgId or new customer
		all.Go(func() { sent[i], errs[i] = s.drive(ctx, p, t, int64(i)*apart+t.next) })
	}
	all.Wait()
	var sum int64
	for _, n := range sent {
		sum += n
	}
	t.next += slices.Max(sent)
	return sum, errors.Join(errs...)
}

// drive sends pushes to one process, from number first on.
func (s *scaling) drive(ctx context.Context, p *process, t *site, first int64) (int64, error) {
	m, err := newMold(shape{}, t.known)
	if err != nil {
		return 0, err
	}
	conns := 0 // the sweeper has its own
	if t.pace > 0 {
		conns = s.conns
	}
	g, err := newGenerator(ctx, p.addr, m, "transfer_customer_service", conns)
	if err != nil {
		return 0, err
	}
	defer g.close()
	g.next.Store(first)
	if t.pace > 0 {
		took, err := g.open(t.pace, s.d)
		return int64(len(took)), err
	}
	sweep, err := newSweeper(p.addr, m, s.conns)
	if err != nil {
		return 0, err
	}
	defer sweep.close()
	end := time.Now().Add(s.d)
	return sweep.run(g, func(int64) bool { return time.Now().Before(end) })
}

// serve starts one kefud. Redis is its configuration's line for it.
func (s *scaling) serve(ctx context.Context, redis, mode string) (*process, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	s.configs++
	path := filepath.Join(s.dir, "config-"+strconv.Itoa(s.configs)+".yaml")
	text := fmt.Sprintf(configFile, addr, s.logLevel, "REDIS", mode)
	text = strings.Replace(text, `redis: {addrs: "REDIS"}`, "redis: "+redis, 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the config: %w", err)
	}
	return start(ctx, "", addr, s.kefud, "serve", "--config", path)
}

func redisLine(addrs []string) string { return fmt.Sprintf("{addrs: %q}", strings.Join(addrs, ",")) }

// turns puts sites under load in turn, and gives the loads of each.
func (s *scaling) turns(ctx context.Context, sites []*site) ([][]load, error) {
	out := make([][]load, len(sites))
	for round := range s.rounds + 1 {
		for i, t := range sites {
			l, err := s.under(ctx, t)
			for from := t.next; err == nil && round == 0 && t.next-from < int64(t.known); {
				_, err = s.under(ctx, t)
			}
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first lets the known ones in
				out[i] = append(out[i], l)
				fmt.Printf("%d/%d  %-40s %7.0f/s\n", round, s.rounds, t.name, l.rate)
			}
		}
	}
	return out, nil
}
