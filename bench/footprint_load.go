package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"
)

// connections opens very many, has each say something, and leaves them alone.
func (f *footprint) connections(ctx context.Context) error {
	var each, stack, heap []float64
	for range max(1, f.rounds/2) {
		kib, err := f.crowd(ctx)
		if err != nil {
			return err
		}
		each, stack, heap = append(each, kib[0]), append(stack, kib[1]), append(heap, kib[2])
	}
	defer func() {
		f.add(figure{what: "of that, the goroutine's stack", goal: "–", format: "%.1f KiB", got: stack})
		f.add(figure{what: "of that, on the heap; 8 KiB are net/http's reader and writer", goal: "–", format: "%.1f KiB", got: heap})
	}()
	f.add(figure{
		what: "each of 10,000 keep-alive connections, idle after a push (RSS)", goal: "≤ 25 KiB", format: "%.1f KiB", got: each, within: atMost(mostEach),
	})
	return nil
}

// crowd gives what each costs of RSS, stacks and heap, in KiB.
func (f *footprint) crowd(ctx context.Context) ([3]float64, error) {
	var each [3]float64
	p, _, err := f.boot(ctx, f.redis.addr, "")
	if err != nil {
		return each, err
	}
	defer p.stop()
	m, err := newMold(shape{}, customers)
	if err != nil {
		return each, err
	}
	// As after some work, so that the server has what it needs besides connections.
	if err := f.push(ctx, p, m, f.conns, 20*customers); err != nil {
		return each, err
	}
	state := func() [3]float64 {
		time.Sleep(settleFor)
		own := p.metrics(ctx, "go_memstats_stack_inuse_bytes", "go_memstats_heap_alloc_bytes")
		return [3]float64{p.rss() * 1024, own[0] / 1024, own[1] / 1024}
	}
	before := state()
	g, err := newGenerator(ctx, p.addr, m, transferred, 0)
	if err != nil {
		return each, err
	}
	defer g.close()
	for range crowd {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.addr)
		if err != nil {
			return each, fmt.Errorf("connect: %w", err)
		}
		one := &conn{Conn: c, out: bytes.Clone(m.request), in: make([]byte, 1<<10)}
		g.conns = append(g.conns, one)
		if err := g.push(one); err != nil {
			return each, err
		}
	}
	for i, after := range state() {
		each[i] = (after - before[i]) / crowd
	}
	return each, nil
}

const transferred = "transfer_customer_service"

// push sends so many pushes over so many connections.
func (f *footprint) push(ctx context.Context, p *process, m *mold, conns, count int) error {
	g, err := newGenerator(ctx, p.addr, m, transferred, conns)
	if err != nil {
		return err
	}
	defer g.close()
	return g.first(count)
}

// embedded saturates the server that needs no Redis.
func (f *footprint) embedded(ctx context.Context) error {
	f.pin(ctx)
	var rate, work []float64
	for range f.rounds {
		p, _, err := f.boot(ctx, "", "")
		if err != nil {
			return err
		}
		aSecond, ofCPU, err := f.saturated(p)
		p.stop()
		if err != nil {
			return err
		}
		rate, work = append(rate, aSecond), append(work, ofCPU)
	}
	f.add(figure{
		what: "embedded store: pushes a second of customers who are known, the server on one core", goal: "≥ 3,500/s", format: "%.0f/s", got: rate, within: atLeast(leastRate),
	})
	f.add(figure{
		what: "the same to a second of the core's time, whatever else the machine does", goal: "≥ 3,500/s", format: "%.0f/s", got: work, within: atLeast(leastRate),
	})
	return nil
}

// saturated gives pushes a second, and to a second of CPU time.
func (f *footprint) saturated(p *process) (float64, float64, error) {
	m, err := newMold(shape{}, customers)
	if err != nil {
		return 0, 0, err
	}
	s, err := newSweeper(p.addr, m, f.conns)
	if err != nil {
		return 0, 0, err
	}
	defer s.close()
	g := &generator{mold: m, want: []byte(transferred)}
	if _, err := s.run(g, func(sent int64) bool { return sent < 3*customers }); err != nil {
		return 0, 0, fmt.Errorf("warm: %w", err)
	}
	begin, cpu := time.Now(), p.cpu()
	n, err := s.run(g, func(int64) bool { return time.Since(begin) < f.d })
	if err != nil {
		return 0, 0, fmt.Errorf("saturate: %w", err)
	}
	return float64(n) / time.Since(begin).Seconds(), float64(n) / (p.cpu() - cpu).Seconds(), nil
}
