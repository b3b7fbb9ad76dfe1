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
	{name: "the runtime's watcher (sysmon)", marks: [2]string{"runtime.sysmon"}},
	{name: "the kernel: fall asleep, wake up, switch", marks: [2]string{" __schedule"}},
	{name: "the collector", marks: [2]string{"gcBgMarkWorker"}},
	{name: "Redis: the client library, with its sockets", marks: [2]string{"redis/go-redis"}},
	{name: "socket: write the answer", marks: [2]string{"net/http.", "poll.(*FD).Write"}},
	{name: "socket: read the request", marks: [2]string{"net/http.", "poll.(*FD).Read"}},
	{name: "log line and counters", packages: []string{"kefud/internal/sink", "zerolog", "prometheus"}},
	{name: "Redis: keys, arguments, the script's answer", packages: []string{"kefud/store"}},
	{name: "choose the agent", packages: []string{"kefud/router", "kefud/presence", "kefud/kefu"}},
	{name: "SHA-1 and -256, AES, base64, random bytes, for whomever", packages: []string{"crypto/", "encoding/base64"}},
	{name: "verify, open, parse, seal, answer, but for those", packages: []string{"kefud/wechat"}},
	{name: "handler besides", packages: []string{"kefud/handler", "kefud/internal", "kefud/bench", " main."}},
	{name: "Gin", packages: []string{"gin-gonic/gin"}},
	{name: "net/http: heads, deadlines, states", packages: []string{"net/http."}},
	{name: "goroutines, and the rest"},
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

// A busyness keeps a server busy for so long.
type busyness func(ctx context.Context, at *stand, d time.Duration) error

// saturating asks of a server what it can do.
func (b *bench) saturating(_ context.Context, at *stand, d time.Duration) error {
	sweep, err := b.sweeper(at)
	if err != nil {
		return err
	}
	defer sweep.close()
	begin := time.Now()
	_, err = sweep.run(at.g, func(int64) bool { return time.Since(begin) < d })
	return err
}

// pacing asks 10,000 pushes a second of it.
func (b *bench) pacing(ctx context.Context, at *stand, d time.Duration) error {
	if err := at.g.connect(ctx, at.server.addr, b.conns); err != nil {
		return err
	}
	if err := at.g.first(customers); err != nil {
		return err
	}
	_, err := at.g.open(paced, d)
	return err
}

// profile has perf look 2,000 times a second at what a server does under a load. It gives
// the layers' shares.
func (b *bench) profile(ctx context.Context, r row, busy busyness) ([]float64, error) {
	at, err := b.stand(ctx, r)
	if err != nil {
		return nil, err
	}
	defer at.down()
	const warm = 500 * time.Millisecond
	failed := make(chan error, 1)
	go func() { failed <- busy(ctx, at, b.d+2*warm) }()
	time.Sleep(warm)
	file := filepath.Join(b.dir, "perf.data")
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-F", "2000", "-g", "-o", file, //nolint:gosec // ours
		"-p", strconv.Itoa(at.server.Process.Pid), "--", "sleep", strconv.FormatFloat(b.d.Seconds(), 'f', -1, 64))
	if err := errors.Join(record.Run(), <-failed); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	text, err := exec.CommandContext(ctx, "perf", "script", "-i", file, "-F", "ip,sym").Output() //nolint:gosec // ours
	if err != nil {
		return nil, fmt.Errorf("perf script: %w", err)
	}
	shares := divide(text)
	if shares[len(layers)-1] > .5 {
		return nil, errors.New("perf has too few samples with the names of functions")
	}
	return shares, nil
}

// divide gives the layers' shares of perf's samples, which are parted by empty lines, a
// function on each line.
func divide(text []byte) []float64 {
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
		out[i] /= all
	}
	return out
}

// A cost is what a push takes of a server's CPU, in µs: all, and the shares of layers.
type cost struct {
	name   string
	all    float64
	shares []float64
}

// profiles writes up where the time of a push goes, or why that is not known.
func (b *bench) profiles(ctx context.Context, all []row, measured [][]sample) string {
	if len(slices.DeleteFunc(slices.Clone(all), func(r row) bool { return !r.profiled })) < 5 {
		return "" // not all of them are measured
	}
	var got, calm []cost
	gin := 0.
	for i, r := range all {
		if !r.profiled {
			continue
		}
		if r.server == floor {
			gin = median(measured[i], func(s sample) float64 { return s.serverCPU })
		}
		fmt.Printf("profile  %s\n", r.name)
		shares, err := b.profile(ctx, r, b.saturating)
		if err != nil {
			return fmt.Sprintf("\nWhere the time goes is not known, for that needs perf: %s: %v.\n", r.name, err)
		}
		got = append(got, cost{r.name, gin * median(measured[i], sample.floors), shares})
		if strings.HasPrefix(r.server, inMemory) {
			continue
		}
		if shares, err = b.profile(ctx, r, b.pacing); err != nil {
			return fmt.Sprintf("\nWhere the time goes is not known, for that needs perf: %s at %d/s: %v.\n", r.name, paced, err)
		}
		calm = append(calm, cost{r.name, median(measured[i], func(s sample) float64 { return s.pacedCPU[0] }), shares})
	}
	return "\n## Where the time goes\n\nCPU µs a push of the saturated server: the Gin floor's, and for the others as many times that as they take beside it, so that what else the machine did is in all of them; parted as the samples of `perf record` are in one more run, 2,000 a second. A sample counts for the innermost part that stands here, but for the first six, which count as a whole.\n\n" +
		costTable(got) + limits(got) +
		"\nThe same at 10,000/s, where the server rests in between, and next to nothing comes together:\n\n" + costTable(calm) + calmLimits(calm)
}

// costTable has a column for each server, and a line for each layer.
func costTable(got []cost) string {
	var w strings.Builder
	w.WriteByte('|')
	for _, c := range got {
		w.WriteString(" | " + c.name)
	}
	w.WriteString(" |\n|---" + strings.Repeat("|---", len(got)) + "|\n")
	for i, l := range layers {
		w.WriteString("| " + l.name)
		for _, c := range got {
			fmt.Fprintf(&w, " | %.1f", c.of(i))
		}
		w.WriteString(" |\n")
	}
	w.WriteString("| **all**")
	for _, c := range got {
		fmt.Fprintf(&w, " | **%.1f**", c.all)
	}
	w.WriteString(" |\n")
	return w.String()
}

// of is what a layer takes.
func (c cost) of(layer int) float64 { return c.shares[layer] * c.all }

// limits says how far the saturated servers are from what they could reach.
func limits(got []cost) string {
	gin, memory, safe, asking, full := got[0].all, got[1].all, got[2].all, got[3].all, got[4].all
	crypto := slices.IndexFunc(layers, func(l layer) bool { return slices.Contains(l.packages, "crypto/") })
	return fmt.Sprintf("\nWithout a store kefud takes %.1f µs more than Gin does to answer \"success\" unread: %.2f of its pushes. 0.90 would leave %.1f µs for all of verifying, parsing, choosing, counting and logging.\n"+
		"In safe mode it takes %.1f µs more than Gin: %.2f. %.1f µs more than in plain mode, of which %.1f µs are spent inside of Go's own SHA-1, AES, base64 and random bytes; the rest reads the envelope, writes it, and carries twice the bytes. 0.75 would leave %.1f µs for all that kefud does beside Gin.\n"+
		"With a Redis, Gin and one GET by the client library take %.1f µs, which is %.2f of Gin's pushes with nothing done; kefud's whole push takes %.1f µs, %.2f. 0.55 would be %.1f µs.\n",
		memory-gin, gin/memory, gin/0.9-gin, safe-gin, gin/safe, safe-memory, got[2].of(crypto)-got[1].of(crypto), gin/0.75-gin, asking, gin/asking, full, gin/full, gin/0.55)
}

// calmLimits says what holds the latency at 10,000/s.
func calmLimits(got []cost) string {
	gin, asking, full := got[0], got[1], got[2]
	const watcher, switches = 0, 1
	return fmt.Sprintf("\nA push with a Redis wakes the server twice, for the request and for Redis' answer, and takes %.0f µs of it, where Gin's takes %.0f and that of Gin with one GET %.0f; %.0f µs of kefud's are the kernel's switching and the runtime's watcher, which nobody who asks Redis is spared. "+
		"What comes together waits in line for that, and for Redis and the generator, which share the other core: that is p50, and with the pauses of a shared machine p99.\n",
		full.all, gin.all, asking.all, full.of(watcher)+full.of(switches))
}
