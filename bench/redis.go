package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// slots is how many hash slots a cluster has.
//
// Redis, "Redis cluster specification",
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/, read 2026-11.
const slots = 16384

// A node is a redis-server without persistence, alone or one of a cluster.
type node struct {
	*process
	client *redis.Client
}

func (b *bench) node(ctx context.Context, more ...string) (*node, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "redis-")
	if err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	_, port, _ := net.SplitHostPort(addr)
	args := append([]string{"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir}, more...)
	p, err := start(ctx, "", addr, args...)
	if err != nil {
		return nil, err
	}
	return &node{process: p, client: redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, DisableIdentity: true, ReadTimeout: time.Minute})}, nil
}

func (n *node) stop() {
	_ = n.client.Close()
	n.process.stop()
}

// A fleet is the nodes of a cluster, or a server by itself.
type fleet []*node

func (f fleet) stop() {
	for _, n := range f {
		n.stop()
	}
}

// addrs are as the store wants them: a cluster is told from a server by there being
// several, of one node too.
func (f fleet) addrs(clustered bool) []string {
	var out []string
	for _, n := range f {
		out = append(out, n.addr)
	}
	if clustered && len(out) == 1 {
		out = append(out, out[0])
	}
	return out
}

// cluster starts so many masters, and gives each as many slots as the others.
func (b *bench) cluster(ctx context.Context, size int) (fleet, error) {
	var f fleet
	for i := range size {
		bus, err := freeAddr(ctx)
		if err != nil {
			return f, err
		}
		_, port, _ := net.SplitHostPort(bus)
		n, err := b.node(ctx, "--cluster-enabled", "yes", "--cluster-port", port)
		if err != nil {
			return f, err
		}
		f = append(f, n)
		first, last := i*slots/size, (i+1)*slots/size-1
		if err := n.client.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return f, fmt.Errorf("give slots: %w", err)
		}
		if err := n.client.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			return f, fmt.Errorf("set epoch: %w", err)
		}
		if i > 0 {
			host, at, _ := net.SplitHostPort(n.addr)
			if err := f[0].client.Do(ctx, "cluster", "meet", host, at, port).Err(); err != nil {
				return f, fmt.Errorf("meet: %w", err)
			}
		}
	}
	return f, f.whole(ctx)
}

// whole waits until every node sees all others.
func (f fleet) whole(ctx context.Context) error {
	want := "cluster_size:" + strconv.Itoa(len(f))
	for _, n := range f {
		for tries := 0; ; tries++ {
			info, err := n.client.ClusterInfo(ctx).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, want) {
				break
			}
			if tries == 400 {
				return errors.New("the cluster does not come together")
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// numbers reads what Redis counts, by how its line begins.
func (n *node) numbers(ctx context.Context, names ...string) ([]float64, error) {
	info, err := n.client.Info(ctx, "everything").Result()
	if err != nil {
		return nil, fmt.Errorf("info: %w", err)
	}
	return pick(strings.NewReader(info), "", names), nil
}

// spending is what Redis has done so far: scripts, the µs that it was at them, and its
// CPU time in µs.
type spending struct{ calls, script, cpu float64 }

func (n *node) spent(ctx context.Context) (spending, error) {
	var s spending
	info, err := n.client.Info(ctx, "commandstats", "cpu").Result()
	if err != nil {
		return s, fmt.Errorf("info: %w", err)
	}
	_, line, _ := strings.Cut(info, "cmdstat_evalsha:")
	if _, err := fmt.Sscanf(line, "calls=%f,usec=%f", &s.calls, &s.script); err != nil {
		return s, fmt.Errorf("read the counters of scripts: %w", err)
	}
	v := pick(strings.NewReader(info), "", []string{"used_cpu_user:", "used_cpu_sys:"})
	s.cpu = (v[0] + v[1]) * 1e6
	return s, nil
}

// each gives every key of a pattern to f, many at a time.
func (n *node) each(ctx context.Context, pattern string, f func(keys []string) error) error {
	for at := uint64(0); ; {
		keys, next, err := n.client.Scan(ctx, at, pattern, 5000).Result()
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if err := f(keys); err != nil {
			return err
		}
		if at = next; at == 0 {
			return nil
		}
	}
}

// forget deletes every key of a pattern.
func (n *node) forget(ctx context.Context, pattern string) error {
	return n.each(ctx, pattern, func(keys []string) error {
		if len(keys) == 0 {
			return nil
		}
		if err := n.client.Del(ctx, keys...).Err(); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		return nil
	})
}
