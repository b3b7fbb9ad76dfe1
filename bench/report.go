package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes docs/performance.md; where is what it says of where the time goes.
func (b *bench) report(all []row, got [][]sample, where string) string {
	var w strings.Builder
	fmt.Fprintf(&w, "# Performance\n\nWritten by `make bench`; run it again to have the figures of your machine. It needs Linux, Go and redis-server, and perf for system calls and where the time goes.\nWhat kefud takes when it rests, starts and reloads is in [footprint.md](footprint.md).\n\n")
	fmt.Fprintf(&w, "Measured %s with %s on %d cores (%s), %d rounds of %s a row, %d keep-alive connections (%d in the open loops), kefud's log level %s (to /dev/null).\n",
		time.Now().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), model(), len(got[0]), b.d, b.sweeping, b.conns, b.logLevel)
	if b.serverCore != "" {
		w.WriteString("The server has core 0 to itself; the generator and redis-server share core 1.\n")
	} else {
		w.WriteString("Nothing is pinned: taskset is missing, or there is one core.\n")
	}
	w.WriteString("\nThe rows take turns, round by round. Figures are medians, with the smallest and largest behind them, which is the noise. " +
		"A ratio is to a Gin floor that runs beside each server and takes turns with it, twenty times in as many parts of the time, so that what else the machine does falls on both: Gin answering \"success\", reading nothing. " +
		"kefud is in all its rows as it is shipped: built by its profile (cmd/kefud/default.pgo), with its own rule when garbage is collected (internal/garbage), which takes memory for time. The others are as go build and Go's own rule make them. " +
		"The row of Gin with Redis is what any server pays that asks Redis something for each push, here with the same library over one connection; the rows of kefud with Redis have to be seen beside it.\n\n## Saturated\n\n" +
		"| Server | req/s | × Gin floor | server CPU | CPU µs/push | Redis CPU µs/push | system calls/push | allocs/push | bytes/push | RSS MiB | script calls/push | Redis reads/push | generator CPU |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for i, r := range all {
		of := func(format string, f func(sample) float64) string { return spread(format, got[i], f) }
		rate := func(s sample) float64 { return s.rate }
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.name, of("%.0f", rate), of("%.2f", sample.overFloor),
			of("%.2f", func(s sample) float64 { return s.rate * s.serverCPU / 1e6 }),
			of("%.1f", func(s sample) float64 { return s.serverCPU }), of("%.1f", func(s sample) float64 { return s.redisCPU }),
			of("%.1f", func(s sample) float64 { return s.calls }), of("%.1f", func(s sample) float64 { return s.allocs }), of("%.0f", func(s sample) float64 { return s.bytes }),
			of("%.0f", func(s sample) float64 { return s.rss }), of("%.2f", func(s sample) float64 { return s.commands }),
			of("%.2f", func(s sample) float64 { return s.reads }), of("%.2f", func(s sample) float64 { return s.generator }))
	}
	w.WriteString(peers(all, got))
	w.WriteString("\nThe raw socket server answers whatever it reads with the same bytes: what the generator reaches there, it can ask of every row. " +
		"Server CPU is in cores: a server that has one is saturated near 1. With few connections all of them may wait for Redis at once, and the server with them. " +
		"Generator CPU is, too: with Redis's it must stay below the core that they share, else the row says less of the server than it could. " +
		"The raw socket server has no counters of allocations. System calls are counted by perf, where that is installed and allowed. " +
		"The generator looks for answers every 200 µs and sleeps in between, so that no server pays for waking it: the slower one would pay for more.\n\n" +
		"## Latency\n\nOpen loop; latency counts from when the push was due. Milliseconds.\n\n" +
		"| Server | half of its maximum: p50 | p99 | p99.9 | 10,000/s: p50 | p99 | p99.9 | CPU µs/push then: server | Redis | generator |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for i, r := range all {
		if r.server == raw {
			continue
		}
		of := func(f func(sample) time.Duration) string {
			return spread("%.2f", got[i], func(s sample) float64 { return f(s).Seconds() * 1e3 })
		}
		cpu := func(whose int) string {
			return spread("%.0f", got[i], func(s sample) float64 { return s.pacedCPU[whose] })
		}
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.name, of(func(s sample) time.Duration { return s.half.p50 }),
			of(func(s sample) time.Duration { return s.half.p99 }), of(func(s sample) time.Duration { return s.half.p999 }),
			of(func(s sample) time.Duration { return s.paced.p50 }), of(func(s sample) time.Duration { return s.paced.p99 }),
			of(func(s sample) time.Duration { return s.paced.p999 }), cpu(0), cpu(1), cpu(2))
	}
	w.WriteString(where)
	w.WriteString("\nPowerWeChat is not compared: its module cannot be had with a verified checksum (tried: v3.4.22). chanxuehong/wechat stands in its place.\n")
	return w.String()
}

// peers says how often kefud with its Redis answers, beside the servers of others, which
// keep nothing: by their ratios to the Gin floor, round by round.
func peers(all []row, got [][]sample) string {
	var w strings.Builder
	for _, peer := range []string{"silenceper/wechat", "chanxuehong/wechat"} {
		for _, way := range []string{", plain XML", ", safe XML"} {
			ours := slices.IndexFunc(all, func(r row) bool { return r.name == "kefud + Redis"+way+", known" })
			theirs := slices.IndexFunc(all, func(r row) bool { return r.name == peer+way })
			if ours < 0 || theirs < 0 {
				continue
			}
			ratios := make([]float64, len(got[ours]))
			for round := range ratios {
				ratios[round] = got[ours][round].overFloor() / got[theirs][round].overFloor()
			}
			fmt.Fprintf(&w, "- kefud + Redis%s, known, answers %s times as many pushes as %s, which keeps nothing.\n", way, span("%.1f", ratios), peer+way)
		}
	}
	if w.Len() == 0 {
		return ""
	}
	return "\n" + w.String()
}

// median is that of the rounds.
func median(samples []sample, f func(sample) float64) float64 {
	v := make([]float64, len(samples))
	for i, s := range samples {
		v[i] = f(s)
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// spread is a median and its range, of the rounds that measured it: 0 is none.
func spread(format string, samples []sample, f func(sample) float64) string {
	var v []float64
	for _, s := range samples {
		if x := f(s); x != 0 {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return "–"
	}
	return span(format, v)
}

// span is the same of bare numbers.
func span(format string, v []float64) string {
	v = slices.Sorted(slices.Values(v))
	if v[len(v)-1] == 0 {
		return "–"
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", v[len(v)/2], v[0], v[len(v)-1])
}

func model() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(b), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, "\t :")
}
