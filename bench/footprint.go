package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A footprint is what kefud takes when it is built, starts, rests, holds connections,
// takes over another configuration, and has no Redis.
type footprint struct {
	*bench
	rounds int
	only   string // "" = all
	redis  *process
	out    []figure
}

// A figure is one line of the result.
type figure struct {
	what, goal string
	got        []float64
	format     string // of one value, with its unit
	most       bool   // the goal is about the largest of them, not about the median
	within     func(float64) bool
}

func atMost(goal float64) func(float64) bool  { return func(v float64) bool { return v <= goal } }
func atLeast(goal float64) func(float64) bool { return func(v float64) bool { return v >= goal } }

// The goals.
const (
	mostBytes   = 30 << 20
	mostStart   = 300.0 // ms
	mostIdleRSS = 30.0  // MiB
	mostIdleCPU = 0.5   // %
	mostEach    = 25.0  // KiB a connection
	leastRate   = 3500.0
	mostReload  = 50.0 // ms

	crowd     = 10_000 // connections
	idleFor   = 20 * time.Second
	settleFor = 5 * time.Second
)

func runFootprint(args []string) error {
	flags := flag.NewFlagSet("footprint", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often each is measured")
	d := flags.Duration("for", 5*time.Second, "how long each load lasts")
	only := flags.String("only", "", "start, idle, connections, reload, parts or embedded: that alone, and nothing is written")
	out := flags.String("out", "../docs/footprint.md", "the file that is written")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f := &footprint{bench: &bench{conns: 48, d: *d, logLevel: "info"}, rounds: *rounds, only: *only}
	w := newWatch()
	if err := f.measureAll(ctx); err != nil {
		return err
	}
	text := f.report() + fmt.Sprintf("\nMeanwhile other work took %.1f of the machine's %d cores.\n", w.others(), runtime.NumCPU())
	fmt.Print(text)
	if f.only != "" {
		return nil
	}
	if err := os.WriteFile(*out, []byte(text), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (f *footprint) measureAll(ctx context.Context) error {
	var err error
	if f.dir, err = os.MkdirTemp("", "kefud-footprint-"); err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(f.dir) }()
	if err := f.binary(ctx); err != nil {
		return err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr)
	if f.redis, err = start(ctx, "", addr, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", f.dir); err != nil {
		return err
	}
	defer f.redis.stop()
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"start", f.startUp},
		{"idle", f.idle},
		{"connections", f.connections},
		{"reload", f.reloads},
		{"parts", f.parts},
		{"embedded", f.embedded},
	} {
		if f.only != "" && f.only != step.name {
			continue
		}
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (f *footprint) add(one figure) {
	fmt.Printf("%s: %.4g\n", one.what, one.got)
	f.out = append(f.out, one)
}

// binary builds kefud as releases are built.
func (f *footprint) binary(ctx context.Context) error {
	f.kefud = filepath.Join(f.dir, "kefud")
	build := exec.CommandContext(ctx, "make", "-s", "build", "BIN="+f.kefud) //nolint:gosec // ours
	build.Dir, build.Stderr = "..", os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build kefud: %w", err)
	}
	info, err := os.Stat(f.kefud)
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	f.add(figure{
		what: "the program, as `make build` makes it", goal: "≤ 31,457,280 bytes", format: "%.0f bytes",
		got: []float64{float64(info.Size())}, within: atMost(mostBytes),
	})
	return nil
}

// boot starts kefud with a Redis ("" = embedded) and gives how long it took from exec
// until it is ready for traffic.
func (f *footprint) boot(ctx context.Context, redis, config string) (*process, time.Duration, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, 0, err
	}
	if config == "" {
		config = fmt.Sprintf(configFile, addr, f.logLevel, redis, "plain")
	} else {
		config = fmt.Sprintf("listen: %s\nredis: {addrs: %q}\n", addr, redis) + config
	}
	path := filepath.Join(f.dir, addr+".yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, 0, fmt.Errorf("write the config: %w", err)
	}
	args := []string{f.kefud, "serve", "--config", path}
	if f.serverCore != "" {
		args = append([]string{"taskset", "-c", f.serverCore}, args...)
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // ours
	said := &reloadLog{}
	c.Stderr = said
	begin := time.Now()
	if err := c.Start(); err != nil {
		return nil, 0, fmt.Errorf("start kefud: %w", err)
	}
	p := &process{Cmd: c, addr: addr, said: said}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for time.Since(begin) < 20*time.Second {
		if ready(ctx, client, addr) {
			return p, time.Since(begin), nil
		}
		time.Sleep(time.Millisecond)
	}
	p.stop()
	return nil, 0, fmt.Errorf("kefud is not ready at %s: %s", addr, said.last())
}

func ready(ctx context.Context, client *http.Client, addr string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// stores are the two ways to run it.
func (f *footprint) stores() map[string]string {
	return map[string]string{"embedded store": "", "a Redis": f.redis.addr}
}

func (f *footprint) startUp(ctx context.Context) error {
	took := map[string][]float64{}
	for range 2*f.rounds + 1 {
		for name, redis := range f.stores() {
			p, d, err := f.boot(ctx, redis, "")
			if err != nil {
				return err
			}
			p.stop()
			took[name] = append(took[name], d.Seconds()*1e3)
		}
	}
	for _, name := range []string{"embedded store", "a Redis"} {
		f.add(figure{
			what: "from exec to `/readyz` 200, " + name, goal: "≤ 300 ms", format: "%.0f ms", got: took[name], most: true, within: atMost(mostStart),
		})
	}
	return nil
}

func (f *footprint) idle(ctx context.Context) error {
	rss, cpu := map[string][]float64{}, map[string][]float64{}
	for range max(1, f.rounds/2) {
		running := map[string]*process{}
		for name, redis := range f.stores() {
			p, _, err := f.boot(ctx, redis, "")
			if err != nil {
				return err
			}
			defer p.stop()
			running[name] = p
		}
		time.Sleep(settleFor)
		before := map[string]time.Duration{}
		for name, p := range running {
			before[name] = p.cpu()
		}
		time.Sleep(idleFor)
		for name, p := range running {
			cpu[name] = append(cpu[name], 100*(p.cpu()-before[name]).Seconds()/idleFor.Seconds())
			rss[name] = append(rss[name], p.rss())
			p.stop()
		}
	}
	for _, name := range []string{"embedded store", "a Redis"} {
		f.add(figure{what: "idle after the start, " + name + ": memory (RSS)", goal: "≤ 30 MiB", format: "%.1f MiB", got: rss[name], most: true, within: atMost(mostIdleRSS)})
		f.add(figure{what: "idle after the start, " + name + ": CPU", goal: "≤ 0.5 %", format: "%.2f %%", got: cpu[name], most: true, within: atMost(mostIdleCPU)})
	}
	return nil
}

// report writes the document.
func (f *footprint) report() string {
	var w strings.Builder
	fmt.Fprintf(&w, `# Footprint

Written by `+"`make footprint`"+`; run it again to have the figures of your machine. It needs Linux, Go, make and redis-server.
How fast kefud is beside other servers is in [performance.md](performance.md).

Measured %s with %s on %d cores (%s), %d rounds. A figure is the median, with the smallest and largest behind it;
the goal is about the largest where the table says "each".

| What | Goal | Measured | Within |
|---|---|---|---|
`, time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), model(), f.rounds)
	for _, one := range f.out {
		goal, verdict := one.goal, "–"
		slices.Sort(one.got)
		judged := one.got[len(one.got)/2]
		if one.most {
			judged = one.got[len(one.got)-1]
			goal += ", each"
		}
		if one.within != nil {
			verdict = map[bool]string{true: "yes", false: "**no**"}[one.within(judged)]
		}
		measured := fmt.Sprintf(one.format, one.got[len(one.got)/2])
		if len(one.got) > 1 {
			measured += fmt.Sprintf(" (%.4g–%.4g)", one.got[0], one.got[len(one.got)-1])
		}
		fmt.Fprintf(&w, "| %s | %s | %s | %s |\n", one.what, goal, measured, verdict)
	}
	return w.String() + notes
}
