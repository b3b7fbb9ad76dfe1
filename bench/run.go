package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A row is one compared server under one kind of push.
type row struct {
	name   string
	server string // of serve; "" = kefud with a Redis
	shape  shape
	known  int
	want   string

	profiled bool // it has a column in the table of where the time goes
}

const (
	customers = 1000
	raw       = "raw"     // the server that does nothing
	floor     = "floor"   // Gin answering "success"
	asking    = "asking"  // the same after a command of Redis
	inMemory  = "memory-" // kefud without a Redis; its mode follows
)

func rows() []row {
	const transfer, sealed = "transfer_customer_service", "Encrypt"
	xml, safe := shape{}, shape{safe: true}
	out := []row{
		{"raw socket server", raw, xml, customers, "success", false},
		{"Gin floor", floor, xml, customers, "success", true},
		{"kefud, store in memory, plain XML", inMemory + "plain", xml, customers, transfer, true},
		{"kefud, store in memory, safe XML", inMemory + "safe", safe, customers, sealed, true},
		{"Gin + Redis: a GET, then \"success\"", asking, xml, customers, "success", true},
		{"silenceper/wechat, plain XML", "silenceper", xml, customers, transfer, false},
		{"silenceper/wechat, safe XML", "silenceper", safe, customers, sealed, false},
		{"chanxuehong/wechat, plain XML", "chanxuehong", xml, customers, transfer, false},
		{"chanxuehong/wechat, safe XML", "chanxuehong", safe, customers, sealed, false},
	}
	for _, s := range []shape{{}, {json: true}, {safe: true}, {safe: true, json: true}} {
		want := transfer
		if s.safe {
			want = sealed
		}
		out = append(out,
			row{"kefud + Redis, " + s.String() + ", known", "", s, customers, want, s == shape{}},
			row{"kefud + Redis, " + s.String() + ", new", "", s, 0, want, false})
	}
	return out
}

// A sample is what one row measured in one round.
type sample struct {
	rate, serverCPU, redisCPU, generator float64 // pushes a second, µs a push, share of a core
	floor, floorCPU                      float64 // rate and serverCPU of the Gin floor meanwhile
	allocs, bytes, rss                   float64
	commands, reads                      float64 // of Redis, a push
	calls                                float64 // system calls of the server, a push; 0 = not known
	half, paced                          quantiles
	pacedCPU                             [3]float64 // µs a push then: server, Redis, generator
}

// overFloor is the ratio to the Gin floor.
func (s sample) overFloor() float64 { return s.rate / s.floor }

// floors is how many pushes the Gin floor answers in the CPU that one of the row's takes.
func (s sample) floors() float64 { return s.serverCPU / s.floorCPU }

// quantiles of the latency of an open loop.
type quantiles struct{ p50, p99, p999 time.Duration }

// paced is the rate at which every server that can is measured, a second.
const paced = 10_000

// A bench is what the runs have in common.
type bench struct {
	self, kefud, dir, logLevel string
	profiled                   string // this program, too, but built by kefud's profile: for kefud without a Redis
	serverCore                 string // "" = not pinned
	conns                      int    // of the open loop
	sweeping                   int    // connections that saturate
	d                          time.Duration
}

const configFile = `listen: %s
log: {level: %s}
redis: {addrs: %q}
agents: [{id: wang, name: Wang, capacity: 0, presence: online, desk: {app: shop, account: kf2001@gh_1a2b3c}}]
apps:
  - name: shop
    app_id: ` + appID + `
    original_id: ` + original + `
    token: ` + token + `
    encoding_aes_key: ` + aesKey + `
    encryption: %s
    transfer_to_agent: always
    default_entry: cs1
    entries: [{tag: cs1, steps: [{agent: wang}]}]
`

// launch starts the row's server, and its Redis if it has one.
func (b *bench) launch(ctx context.Context, r row) (*process, *process, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, nil, err
	}
	if r.server != "" && r.server != asking {
		program := b.self
		if strings.HasPrefix(r.server, inMemory) {
			program = b.profiled
		}
		server, err := start(ctx, b.serverCore, addr, program, "serve", r.server, addr)
		return server, nil, err
	}
	at, err := freeAddr(ctx)
	if err != nil {
		return nil, nil, err
	}
	_, port, _ := net.SplitHostPort(at)
	redis, err := start(ctx, "", at, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", b.dir)
	if err != nil {
		return nil, nil, err
	}
	server, err := b.launchOn(ctx, r, addr, at)
	if err != nil {
		redis.stop()
		return nil, nil, err
	}
	return server, redis, nil
}

// launchOn starts the row's server at addr, with the Redis at the address at.
func (b *bench) launchOn(ctx context.Context, r row, addr, at string) (*process, error) {
	if r.server == asking {
		return start(ctx, b.serverCore, addr, b.self, "serve", asking+" "+at, addr)
	}
	mode := "plain"
	if r.shape.safe {
		mode = "safe"
	}
	path := filepath.Join(b.dir, "config.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, configFile, addr, b.logLevel, at, mode), 0o600); err != nil {
		return nil, fmt.Errorf("write the config: %w", err)
	}
	return start(ctx, b.serverCore, addr, b.kefud, "serve", "--config", path)
}

// A stand is a row's server, with its Redis if it has one, and what asks it.
type stand struct {
	server, redis *process
	g             *generator
}

// stand sets a row up. The caller takes it down.
func (b *bench) stand(ctx context.Context, r row) (*stand, error) {
	server, redis, err := b.launch(ctx, r)
	if err != nil {
		return nil, err
	}
	s := &stand{server: server, redis: redis}
	m, err := newMold(r.shape, r.known)
	if err != nil {
		s.down()
		return nil, err
	}
	const most = 60_000 // pushes a second, in safe mode
	m.prepare(int(most * b.d.Seconds()))
	if s.g, err = newGenerator(ctx, server.addr, m, r.want, 0); err != nil {
		s.down()
		return nil, err
	}
	return s, nil
}

func (s *stand) down() {
	if s.g != nil {
		s.g.close()
	}
	s.server.stop()
	if s.redis != nil {
		s.redis.stop()
	}
}

// sweeper is what saturates the server, once it is warm.
func (b *bench) sweeper(s *stand) (*sweeper, error) {
	sweep, err := newSweeper(s.server.addr, s.g.mold, b.sweeping)
	if err != nil {
		return nil, err
	}
	if _, err := sweep.run(s.g, func(sent int64) bool { return sent < 5*customers }); err != nil {
		sweep.close()
		return nil, fmt.Errorf("warm: %w", err)
	}
	return sweep, nil
}

// measure runs one row once: warm, saturated, and at half of that.
func (b *bench) measure(ctx context.Context, r row) (sample, error) {
	at, err := b.stand(ctx, r)
	if err != nil {
		return sample{}, err
	}
	defer at.down()
	server, g := at.server, at.g
	s, err := b.beside(ctx, r, at)
	if err != nil || r.server == raw {
		return s, err // half of what raw can do is more than can be paced
	}
	if err := g.connect(ctx, server.addr, b.conns); err != nil {
		return sample{}, err
	}
	if err := g.first(customers); err != nil {
		return sample{}, fmt.Errorf("warm: %w", err)
	}
	for _, p := range []struct {
		rate float64
		into *quantiles
	}{{s.rate / 2, &s.half}, {paced, &s.paced}} {
		if p.rate > s.rate*.8 {
			continue // it would wait in line only
		}
		g.mold.prepare(int(g.next.Load()) + int(p.rate*b.d.Seconds()))
		before := at.cpus()
		took, err := g.open(p.rate, b.d)
		if err != nil || len(took) == 0 {
			return s, fmt.Errorf("open loop: %w", err)
		}
		of := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))] }
		*p.into = quantiles{of(.5), of(.99), of(.999)}
		if p.into == &s.paced {
			for i, now := range at.cpus() {
				s.pacedCPU[i] = micro(now-before[i]) / float64(len(took))
			}
		}
	}
	return s, nil
}

// cpus is what server, Redis and generator have computed so far.
func (s *stand) cpus() [3]time.Duration {
	all := [3]time.Duration{s.server.cpu(), 0, own()}
	if s.redis != nil {
		all[1] = s.redis.cpu()
	}
	return all
}
