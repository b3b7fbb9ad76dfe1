package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// turnsEach is how often a row and the Gin floor take turns while they are saturated. What
// else the machine does changes within seconds, and so falls on both.
const turnsEach = 20

// beside saturates a row's server, in turns with a Gin floor that runs beside it and rests
// meanwhile, as it does while that has its turn.
func (b *bench) beside(ctx context.Context, r row, at *stand) (sample, error) {
	if r.server == floor {
		return b.saturate(ctx, at, nil)
	}
	gin, err := b.stand(ctx, rows()[slices.IndexFunc(rows(), func(r row) bool { return r.server == floor })])
	if err != nil {
		return sample{}, fmt.Errorf("the floor: %w", err)
	}
	defer gin.down()
	return b.saturate(ctx, at, gin)
}

// turns are what the generator did in those of a server.
type turns struct {
	answered   int64
	took, mine time.Duration // by the clock, and of this process's CPU
}

func (t *turns) rate() float64 { return float64(t.answered) / t.took.Seconds() }

// turn saturates a server for so long.
func (t *turns) turn(s *sweeper, g *generator, d time.Duration) error {
	begin, mine := time.Now(), own()
	n, err := s.run(g, func(int64) bool { return time.Since(begin) < d })
	t.answered, t.took, t.mine = t.answered+n, t.took+time.Since(begin), t.mine+own()-mine
	if err != nil {
		return fmt.Errorf("saturate: %w", err)
	}
	return nil
}

// own is the time that this process has computed.
func own() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// saturate measures what a server can do at most: in turns with the Gin floor, which has
// half of the time that the server has, or else (nil) alone.
func (b *bench) saturate(ctx context.Context, at, gin *stand) (sample, error) {
	sweep, err := b.sweeper(at)
	if err != nil {
		return sample{}, err
	}
	defer sweep.close()
	var other *sweeper
	all := b.d
	if gin != nil {
		if other, err = b.sweeper(gin); err != nil {
			return sample{}, fmt.Errorf("the floor: %w", err)
		}
		defer other.close()
		all += b.d / 2
	}
	before, resting := count(ctx, at), time.Duration(0)
	if gin != nil {
		resting = gin.server.cpu()
	}
	calls := at.server.countCalls(ctx, all+all/20) // the last answers of a turn are waited for
	var done, gins turns
	for range turnsEach {
		if err := done.turn(sweep, at.g, b.d/turnsEach); err != nil {
			return sample{}, err
		}
		if other == nil {
			continue
		}
		if err := gins.turn(other, gin.g, b.d/turnsEach/2); err != nil {
			return sample{}, fmt.Errorf("the floor: %w", err)
		}
	}
	after, n := count(ctx, at), float64(done.answered)
	per := func(f func(counters) float64) float64 { return (f(after) - f(before)) / n }
	s := sample{
		rate: done.rate(), generator: float64(done.mine) / float64(done.took), rss: at.server.rss(), calls: calls() / n,
		serverCPU: per(func(c counters) float64 { return c.server }), redisCPU: per(func(c counters) float64 { return c.redis }),
		commands: per(func(c counters) float64 { return c.commands }), reads: per(func(c counters) float64 { return c.reads }),
		allocs: per(func(c counters) float64 { return c.allocs }), bytes: per(func(c counters) float64 { return c.bytes }),
	}
	if s.floor, s.floorCPU = s.rate, s.serverCPU; gin != nil {
		s.floor, s.floorCPU = gins.rate(), micro(gin.server.cpu()-resting)/float64(gins.answered)
	}
	return s, nil
}

// counters are what a server and its Redis have taken and done so far.
type counters struct {
	server, redis   float64 // µs of CPU
	commands, reads float64 // of Redis
	allocs, bytes   float64
}

// micro gives a time in µs.
func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func count(ctx context.Context, at *stand) counters {
	heap := at.server.metrics(ctx, "go_memstats_mallocs_total", "go_memstats_alloc_bytes_total")
	c := counters{server: micro(at.server.cpu()), allocs: heap[0], bytes: heap[1]}
	if at.redis != nil {
		info := at.redis.info(ctx)
		c.redis, c.commands, c.reads = micro(at.redis.cpu()), info[0], info[1]
	}
	return c
}
