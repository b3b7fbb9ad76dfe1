package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A layer is a part of what a server does. What is done has one by the functions that are
// under way: the first whose marks are all among them, or else that of the innermost
// function of a package that stands here, or else the last.
type layer struct {
	name     string
	marks    [2]string // "" = any function
	packages []string
}

var layers = []layer{
	{name: "the collector", marks: [2]string{"gcBgMarkWorker"}},
	{name: "Redis: the client library, with its sockets", marks: [2]string{"redis/go-redis"}},
	{name: "socket: write the answer", marks: [2]string{"net/http.", "poll.(*FD).Write"}},
	{name: "socket: read the request", marks: [2]string{"net/http.", "poll.(*FD).Read"}},
	{name: "log line and counters", packages: []string{"kefud/internal/sink", "log/slog", "prometheus"}},
	{name: "Redis: keys, arguments, the script's answer", packages: []string{"kefud/store"}},
	{name: "choose the agent", packages: []string{"kefud/router", "kefud/presence", "kefud/kefu"}},
	{name: "verify, open, parse, seal, answer", packages: []string{"kefud/wechat"}},
	{name: "handler besides", packages: []string{"kefud/handler", "kefud/internal", "kefud/bench", " main."}},
	{name: "Gin", packages: []string{"gin-gonic/gin"}},
	{name: "net/http: heads, deadlines, states", packages: []string{"net/http."}},
	{name: "goroutines: sleep, wake, switch; and the rest"},
}

// layerOf gives the number of a layer. The functions are the innermost first.
func layerOf(functions []string) int {
	has := func(mark string) bool {
		return slices.ContainsFunc(functions, func(f string) bool { return strings.Contains(f, mark) })
	}
	for i, l := range layers {
		if l.marks[0] != "" && has(l.marks[0]) && has(l.marks[1]) {
			return i
		}
	}
	for _, f := range functions {
		for i, l := range layers {
			if slices.ContainsFunc(l.packages, func(p string) bool { return strings.Contains(f, p) }) {
				return i
			}
		}
	}
	return len(layers) - 1
}

// A profile is what a push takes of the server's CPU, in µs: all, and by layers.
type profile struct {
	all    float64
	layers []float64
}

// profile saturates a server and has perf look 2,000 times a second at what it does.
func (b *bench) profile(ctx context.Context, r row) (profile, error) {
	server, redis, err := b.launch(ctx, r)
	if err != nil {
		return profile{}, err
	}
	defer server.stop()
	if redis != nil {
		defer redis.stop()
	}
	m, err := newMold(r.shape, r.known)
	if err != nil {
		return profile{}, err
	}
	m.prepare(int(30000 * b.d.Seconds()))
	g, err := newGenerator(ctx, server.addr, m, r.want, 0)
	if err != nil {
		return profile{}, err
	}
	defer g.close()
	sweep, err := newSweeper(server.addr, g.mold, b.sweeping)
	if err != nil {
		return profile{}, err
	}
	defer sweep.close()
	if _, err := sweep.run(g, func(sent int64) bool { return sent < 5*customers }); err != nil {
		return profile{}, fmt.Errorf("warm: %w", err)
	}
	file := filepath.Join(b.dir, "perf.data")
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-F", "2000", "-g", "-o", file, //nolint:gosec // ours
		"-p", strconv.Itoa(server.Process.Pid), "--", "sleep", strconv.FormatFloat(b.d.Seconds(), 'f', -1, 64))
	cpu, begin := server.cpu(), time.Now()
	if err := record.Start(); err != nil {
		return profile{}, fmt.Errorf("perf: %w", err)
	}
	n, err := sweep.run(g, func(int64) bool { return time.Since(begin) < b.d })
	p := profile{all: float64((server.cpu() - cpu).Nanoseconds()) / 1e3 / float64(n)}
	if failed := record.Wait(); err == nil && failed != nil {
		err = failed
	}
	if err != nil {
		return profile{}, fmt.Errorf("profile: %w", err)
	}
	text, err := exec.CommandContext(ctx, "perf", "script", "-i", file, "-F", "ip,sym").Output() //nolint:gosec // ours
	if err != nil {
		return profile{}, fmt.Errorf("perf script: %w", err)
	}
	p.layers = divide(text, p.all)
	if rest := p.layers[len(layers)-1]; rest > p.all/2 {
		return profile{}, errors.New("perf finds no names of functions")
	}
	return p, nil
}

// divide shares out a push's time among the layers as perf's samples are, which are parted
// by empty lines, a function on each line.
func divide(text []byte, of float64) []float64 {
	out, all := make([]float64, len(layers)), 0.
	var functions []string
	for lines := bufio.NewScanner(bytes.NewReader(append(text, '\n'))); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line != "" {
			functions = append(functions, line)
			continue
		}
		if len(functions) > 0 {
			out[layerOf(functions)]++
			all++
		}
		functions = functions[:0]
	}
	if all == 0 {
		out[len(out)-1], all = 1, 1
	}
	for i := range out {
		out[i] *= of / all
	}
	return out
}

// profiles writes up where the time of a push goes, or why that is not known.
func (b *bench) profiles(ctx context.Context, all []row) string {
	rows := slices.DeleteFunc(slices.Clone(all), func(r row) bool { return !r.profiled })
	if len(rows) < 4 {
		return "" // not all of them are measured
	}
	got := make([]profile, len(rows))
	for i, r := range rows {
		fmt.Printf("profile  %s\n", r.name)
		var err error
		if got[i], err = b.profile(ctx, r); err != nil {
			return fmt.Sprintf("\nWhere the time goes is not known, for that needs perf: %s: %v.\n", r.name, err)
		}
	}
	return profileTable(rows, got)
}

func profileTable(rows []row, got []profile) string {
	var w strings.Builder
	w.WriteString("\n## Where the time goes\n\nCPU µs a push of the saturated server, by `perf record`, 2,000 samples a second; a sample counts for the innermost part that stands here, but for sockets, client library and collector as a whole. " +
		"It was one run a row, after the rounds, and perf itself takes some of it.\n\n|")
	for _, r := range rows {
		w.WriteString(" | " + r.name)
	}
	w.WriteString(" |\n|---" + strings.Repeat("|---", len(rows)) + "|\n")
	for i, l := range layers {
		w.WriteString("| " + l.name)
		for _, p := range got {
			fmt.Fprintf(&w, " | %.1f", p.layers[i])
		}
		w.WriteString(" |\n")
	}
	w.WriteString("| **all**")
	for _, p := range got {
		fmt.Fprintf(&w, " | **%.1f**", p.all)
	}
	gin, memory, asking, full := got[0].all, got[1].all, got[2].all, got[3].all
	fmt.Fprintf(&w, " |\n\nWithout a store kefud takes %.1f µs more than Gin does to answer \"success\" unread: %.2f of its pushes. 0.90 would leave %.1f µs for all of verifying, parsing, choosing, counting and logging.\n"+
		"With a Redis, Gin and one GET by the client library take %.1f µs, which is %.2f of Gin's pushes with nothing done; kefud's whole push takes %.1f µs, %.2f. 0.55 would be %.1f µs.\n",
		memory-gin, gin/memory, gin/0.9-gin, asking, gin/asking, full, gin/full, gin/0.55)
	return w.String()
}
