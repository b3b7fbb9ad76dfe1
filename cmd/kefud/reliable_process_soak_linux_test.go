package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
)

// A gauge is one quantity of a process over time.
type gauge struct {
	name string
	all  []float64 // at even intervals
}

// warm is how much of a run is not judged: pools, caches and the garbage
// collector's own pace settle first.
const warm = 0.3

// growth is by how much the quantity grows over the judged part of the run, as a
// straight line through it has it (least squares), and the level it begins at.
func (g gauge) growth() (by, from float64) { //nolint:nonamedreturns // two numbers of one kind
	judged := g.all[int(float64(len(g.all))*warm):]
	n := float64(len(judged))
	var sx, sy, sxx, sxy float64
	for i, y := range judged {
		x := float64(i)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return slope * (n - 1), sy/n - slope*(n-1)/2
}

// flat reports whether it grows by no more than a share of its level.
func (g gauge) flat(share float64) bool {
	by, from := g.growth()
	return by <= share*from
}

// A watched process is measured again and again.
type watched struct {
	p      *process
	url    string
	gauges []gauge
}

func watchProcess(p *process, url string) *watched {
	return &watched{p: p, url: url, gauges: []gauge{{name: "rss"}, {name: "heap"}, {name: "goroutines"}, {name: "fds"}}}
}

func (w *watched) sample() {
	t := w.p.t
	t.Helper()
	for i, value := range []float64{
		resident(t, w.p.cmd.Process.Pid), metric(t, w.url, "go_memstats_heap_inuse_bytes"),
		metric(t, w.url, "go_goroutines"), float64(len(openFiles(t, w.p.cmd.Process.Pid))),
	} {
		w.gauges[i].all = append(w.gauges[i].all, value)
	}
}

// last is what a gauge showed last.
func (w *watched) last(name string) float64 {
	i := slices.IndexFunc(w.gauges, func(g gauge) bool { return g.name == name })
	return w.gauges[i].all[len(w.gauges[i].all)-1]
}

// resident is how much memory a process has, in bytes.
func resident(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	must(t, err)
	pages, err := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
	must(t, err)
	return pages * float64(os.Getpagesize())
}

// openFiles lists a process's descriptors.
func openFiles(t *testing.T, pid int) []os.DirEntry {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	return all
}

// The server under 60 % of the load it can take: after the first third it needs no
// more memory, goroutines or descriptors than before, and when the load is over,
// no more than without any. In full length it has the machine to itself; the short
// one must leave some of it to the tests beside it.
func TestReliableSoakStaysFlat(t *testing.T) { //nolint:paralleltest // in full length it must be alone
	if !soak.Full() {
		t.Parallel()
	}
	f := launchFleet(t, 1, rigOptions{
		config: everydayConfig, redis: redistest.Start(t), agent: func(o *simulator.AgentOptions) { o.Capacity = 0 },
		env: map[string]string{"GOGC": "100"}, // collected so often that what is not garbage shows
	})
	chat := f.chatOf("chen")
	chat.says(f.invite("chen"))
	f.ready(f.url)
	f.wire.forgets.Store(true)
	w := watchProcess(f.processes[0], f.url)
	d := newTide(f.rig, 400, "cs1", "cs2", "vip", "own")
	d.stalled = watchStalls(t)
	const workers = 32

	top := 170.0
	if soak.Full() {
		top = d.highest(30*time.Second, workers)
	}
	d.every.Store(int64(float64(time.Second) / (0.6 * top)))
	calm := soak.Pick(time.Second, 10*time.Second)
	before := d.pushes.Load()
	length := soak.Pick(12*time.Second, soakLength(t))
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.run(ctx, workers)
	}()
	ticks := time.NewTicker(length / 200)
	defer ticks.Stop()
	for ctx.Err() == nil {
		select {
		case <-ended:
		case <-ticks.C:
			w.sample()
			f.processes[0].log.forget()
			f.box.Forget(time.Now().Add(-time.Minute))
		}
	}
	<-ended
	d.good()
	w.judge(t, soak.Pick(0.5, 0.1), soak.Pick(1.0, 0.1))
	<-time.After(calm)
	w.sample()
	rate := float64(d.pushes.Load()-before) / length.Seconds()
	soak.Measured(t, "soak", "%s at %.0f pushes/s, 60 %% of %.0f/s: %s; slowest answer %s; at rest again %.0f goroutines, %.0f descriptors",
		length, rate, top, w, d.slowest.Round(time.Millisecond), w.last("goroutines"), w.last("fds"))
	f.stop(f.processes[0])
}

// soakLength is half an hour, or what the environment has.
func soakLength(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KEFUD_SOAK_LENGTH")
	if text == "" {
		return 30 * time.Minute
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

// highest is how many pushes a second the server answers when they come as fast
// as they can.
func (d *tide) highest(length time.Duration, workers int) float64 {
	ctx, stop := context.WithTimeout(d.r.t.Context(), length)
	defer stop()
	before := d.pushes.Load()
	d.run(ctx, workers)
	return float64(d.pushes.Load()-before) / length.Seconds()
}

// judge fails the test if a quantity grows by more than a share of its level. Descriptors have one of their
// own: in a run of seconds, beside others, connections to Redis come late.
func (w *watched) judge(t *testing.T, ofAll, ofDescriptors float64) {
	t.Helper()
	for _, g := range w.gauges {
		share := ofAll
		if g.name == "fds" {
			share = ofDescriptors
		}
		if !g.flat(share) {
			by, from := g.growth()
			t.Errorf("%s grows by %.0f from %.0f, more than %.0f %%: %.0f", g.name, by, from, 100*share, g.all)
		}
	}
}

// String tells each quantity's level, and by how much it changed.
func (w *watched) String() string {
	var parts []string
	for _, g := range w.gauges {
		by, from := g.growth()
		unit, name := 1.0, ""
		if g.name == "rss" || g.name == "heap" {
			unit, name = 1<<20, " MiB"
		}
		parts = append(parts, fmt.Sprintf("%s %.1f%s %+.1f", g.name, from/unit, name, by/unit))
	}
	return strings.Join(parts, ", ")
}

// The check of the soak sees a small leak in what looks like a saw, and none where
// there is none.
func TestReliableSoakSeesALeak(t *testing.T) {
	t.Parallel()
	saw := func(leak float64) gauge {
		g := gauge{name: "saw"}
		for i := range 200 {
			level := 60.0
			if i < 30 {
				level = 20 + 40*math.Sin(float64(i)/30*math.Pi/2) // it warms up
			}
			g.all = append(g.all, level+6*float64(i%7)/7+leak*float64(i)/200)
		}
		return g
	}
	for _, tt := range []struct {
		leak float64
		flat bool
	}{{0, true}, {-5, true}, {3, true}, {12, false}, {60, false}} {
		if g := saw(tt.leak); g.flat(0.1) != tt.flat {
			by, from := g.growth()
			t.Errorf("a leak of %.0f is seen as %.1f from %.1f, flat: %t", tt.leak, by, from, !tt.flat)
		}
	}
}
