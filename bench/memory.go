package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A filled is a Redis with a town's customers in it.
type filled struct {
	*town
	*node
	customers int
	took      time.Duration // to let them in
}

// What one customer takes, in bytes, and how that was found.
type weight struct {
	live, whole, customer, records, seat, push float64
	rest, restLater                            float64 // at rest with the records of the last days, and after those
	alone                                      float64 // share of those at rest who have a hash of their own
	pack, look                                 chore   // putting all to rest, and finding that there is nobody more
	rss, used                                  float64 // of Redis when all are live
	takes                                      time.Duration
	perPartition                               []int
}

// A chore is how long something took, and of Redis' CPU.
type chore struct{ took, cpu time.Duration }

// A resting store packs customers who do not talk.
type resting interface {
	Rest(ctx context.Context) (int, error)
}

// people fills a Redis of its own.
func (s *scaling) people(ctx context.Context, customers int, at time.Time) (*filled, error) {
	n, err := s.node(ctx)
	if err != nil {
		return nil, err
	}
	t, err := newTown(ctx, []string{n.addr}, customers)
	if err != nil {
		n.stop()
		return nil, err
	}
	t.at(at)
	begin := time.Now()
	if err := t.fill(ctx, customers); err != nil {
		n.stop()
		return nil, fmt.Errorf("fill: %w", err)
	}
	return &filled{town: t, node: n, customers: customers, took: time.Since(begin)}, nil
}

func (f *filled) stop() {
	_ = f.store.Close()
	f.node.stop()
}

// use is Redis' memory in bytes, without what it takes when it is empty, and for its
// clients and scripts.
func (f *filled) use(ctx context.Context) (float64, error) {
	v, err := f.numbers(ctx, "used_memory:", "used_memory_startup:", "mem_clients_normal:", "used_memory_scripts:")
	if err != nil {
		return 0, err
	}
	return v[0] - v[1] - v[2] - v[3], nil
}

// settle waits until the answers kept for repeats have gone, a minute after the last
// push. To look at them makes Redis delete those whose time is over, some of which it
// would keep for long otherwise.
func (f *filled) settle(ctx context.Context) error {
	for range 60 {
		left := 0
		err := f.each(ctx, "*:push:*", func(keys []string) error {
			left += len(keys)
			return nil
		})
		if err != nil || left == 0 {
			return err
		}
		if err := wait(ctx, 5*time.Second); err != nil {
			return err
		}
	}
	return errors.New("answers kept for repeats do not go")
}

// live measures what customers take who are in a conversation.
func (f *filled) live(ctx context.Context) (weight, error) {
	m := weight{takes: f.took}
	n := float64(f.customers)
	before, err := f.use(ctx)
	if err != nil {
		return m, err
	}
	with, err := f.client.DBSize(ctx).Result()
	if err != nil {
		return m, fmt.Errorf("count keys: %w", err)
	}
	if err := f.settle(ctx); err != nil {
		return m, err
	}
	v, err := f.numbers(ctx, "used_memory:", "used_memory_rss:")
	if err != nil {
		return m, err
	}
	without, err := f.client.DBSize(ctx).Result()
	if err != nil {
		return m, fmt.Errorf("count keys: %w", err)
	}
	after, err := f.use(ctx)
	if err != nil {
		return m, err
	}
	m.used, m.rss = v[0], v[1]
	m.whole = after / n
	m.push = (before - after) / float64(with-without)
	m.live = m.whole + m.push
	for _, k := range []struct {
		pattern string
		to      *float64
	}{{"*:who:*", &m.customer}, {"*:records:*", &m.records}, {"*:taken:*", &m.seat}} {
		sum, err := f.weigh(ctx, k.pattern)
		if err != nil {
			return m, err
		}
		*k.to = sum / n
	}
	m.perPartition, err = f.spread(ctx)
	return m, err
}

// weigh tells what all keys of a pattern take by themselves, by the weight of some.
func (f *filled) weigh(ctx context.Context, pattern string) (float64, error) {
	const some = 5000
	sum, weighed, count := 0., 0, 0
	err := f.each(ctx, pattern, func(keys []string) error {
		count += len(keys)
		for _, k := range keys[:min(len(keys), some-weighed)] {
			size, err := f.client.MemoryUsage(ctx, k, 0).Result() // 0: all that is in it
			if err != nil {
				return fmt.Errorf("weigh: %w", err)
			}
			sum, weighed = sum+float64(size), weighed+1
		}
		return nil
	})
	return sum / float64(max(1, weighed)) * float64(count), err
}

// spread counts the customers of each partition.
func (f *filled) spread(ctx context.Context) ([]int, error) {
	out := make([]int, f.store.Partitions())
	err := f.each(ctx, "*:who:*", func(keys []string) error {
		for _, k := range keys {
			var p int
			_, rest, _ := strings.Cut(k, "{")
			if _, err := fmt.Sscanf(rest, "%d}", &p); err != nil {
				return fmt.Errorf("partition of a key: %w", err)
			}
			out[p]++
		}
		return nil
	})
	return out, err
}

// retire makes all customers rest, as they do when their conversations have been over
// for a while: seats are free, and who only remains to be remembered is packed.
func (f *filled) retire(ctx context.Context, m *weight) error {
	if err := f.forget(ctx, "*:taken:*"); err != nil {
		return err
	}
	if r, ok := any(f.store).(resting); ok {
		for n := 1; n > 0; {
			var err error
			if n, m.look, err = f.rest(ctx, r); err != nil {
				return err
			}
			m.pack.took += m.look.took
			m.pack.cpu += m.look.cpu
		}
	}
	alone := 0
	err := f.each(ctx, "*:who:*", func(keys []string) error {
		alone += len(keys)
		return nil
	})
	if err != nil {
		return err
	}
	m.alone = float64(alone) / float64(f.customers)
	if m.rest, err = f.calm(ctx); err != nil {
		return err
	}
	if err := f.forget(ctx, "*:records:*"); err != nil {
		return err
	}
	m.restLater, err = f.calm(ctx)
	return err
}

// calm gives what a customer takes, once Redis has made its tables as small as its keys
// are few now, which it does bit by bit.
func (f *filled) calm(ctx context.Context) (float64, error) {
	if err := wait(ctx, 30*time.Second); err != nil {
		return 0, err
	}
	use, err := f.use(ctx)
	return use / float64(f.customers), err
}

// rest puts everybody to rest who may, and tells how many those were.
func (f *filled) rest(ctx context.Context, r resting) (int, chore, error) {
	before, err := f.spent(ctx)
	if err != nil {
		return 0, chore{}, err
	}
	begin := time.Now()
	n, err := r.Rest(ctx)
	if err != nil {
		return 0, chore{}, fmt.Errorf("rest: %w", err)
	}
	took := time.Since(begin)
	after, err := f.spent(ctx)
	return n, chore{took, time.Duration(after.cpu-before.cpu) * time.Microsecond}, err
}
