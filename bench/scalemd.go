package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"kefud/kefu"
)

func (s *scaling) head() string {
	return fmt.Sprintf("# Scale\n\nWritten by `make scale`; run it again to have the figures of your machine. It needs Linux, Go and redis-server.\n\n"+
		"Measured %s with %s on %d cores (%s), %d rounds of %s a row, nothing pinned: generator, kefud and Redis share the cores. "+
		"Rows take turns, round by round. Figures are medians, with the smallest and largest behind them, which is the noise. "+
		"What it comes to for very many customers: [capacity.md](capacity.md).\n",
		time.Now().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), model(), s.rounds, s.d)
}

// memory is the part about customers: what they take, and whether their number slows.
func (s *scaling) memory(ctx context.Context, people, few int) (string, error) {
	past := time.Now().Add(-3 * time.Hour) // so that all of them rest by now
	empty, err := s.people(ctx, few, past)
	if err != nil {
		return "", err
	}
	defer empty.stop()
	full, err := s.people(ctx, people, past)
	if err != nil {
		return "", err
	}
	defer full.stop()
	fmt.Printf("filled in %s\n", full.took.Round(time.Second))
	m, err := full.live(ctx)
	if err != nil {
		return "", err
	}
	full.at(past.Add(time.Minute))
	empty.at(past.Add(time.Minute))
	live, err := s.compare(ctx, full, empty)
	if err != nil {
		return "", err
	}
	full.at(time.Now())
	empty.at(time.Now())
	var other weight
	if err := empty.retire(ctx, &other); err != nil {
		return "", err
	}
	if err := full.retire(ctx, &m); err != nil {
		return "", err
	}
	rest, err := s.compare(ctx, full, empty)
	if err != nil {
		return "", err
	}
	return memoryTable(m, people) + "\n" + timeTable(people, few, live, rest) + "\n" + spreadTable(full, m.perPartition), nil
}

func memoryTable(m weight, people int) string {
	var w strings.Builder
	fmt.Fprintf(&w, "## Customers\n\n%d customers, each of whom has tapped a button and written once, in one redis-server; they came in within %s, %d a second at most, through router and store. A button has an agent of its own and a group of three behind him, "+
		"an agent has 20 seats, an app 100 agents. Bytes a customer, of Redis' `used_memory`:\n\n| | bytes | goal |\n|---|---|---|\n", people, m.takes.Round(time.Second), newcomers)
	fmt.Fprintf(&w, "| in a conversation, all keys | **%.0f** | ≤ 700 |\n", m.live)
	for _, row := range []struct {
		name string
		v    float64
	}{
		{"of these his hash", m.customer},
		{"the decision kept for `explain`", m.records},
		{"his agent's seat", m.seat},
		{"the answer to his last push, for a minute", m.push},
		{"Redis' tables of keys and expiries, and the rest", m.live - m.customer - m.records - m.seat - m.push},
	} {
		fmt.Fprintf(&w, "| %s | %.0f | |\n", row.name, row.v)
	}
	fmt.Fprintf(&w, "| at rest, as long as his decision is kept (7 days) | %.0f | |\n| at rest, after that | **%.0f** | ≤ 60 |\n\n", m.rest, m.restLater)
	fmt.Fprintf(&w, "Of those at rest %.2f %% have a hash of their own, the others are packed together. With all of them live Redis held %.0f MiB and had %.0f MiB of the machine. To have them at rest, seats are deleted, and then the decisions, "+
		"as Redis does by itself when their time has come.\n", 100*m.alone, m.used/(1<<20), m.rss/(1<<20))
	if m.look.took > 0 {
		fmt.Fprintf(&w, "\nTo pack all of them took %.1f s and %.1f s of Redis' CPU; to look through them and find nobody more to pack, which is done every 10 minutes, %.1f s and %.1f s.\n",
			m.pack.took.Seconds(), m.pack.cpu.Seconds(), m.look.took.Seconds(), m.look.cpu.Seconds())
	}
	return w.String()
}

func timeTable(people, few int, live, rest pair) string {
	var w strings.Builder
	fmt.Fprintf(&w, "## Time of a push\n\nOne `Receive` after the other, of %d customers and of %d, in turn; µs. To the caller it is a round's median, else its mean. The ratio is that of the same round.\n\n"+
		"| | of %d | of %d | ratio | goal |\n|---|---|---|---|---|\n", people, few, people, few)
	for _, row := range []struct {
		name string
		p    pair
		f    func(visit) float64
	}{
		{"in a conversation: to the caller", live, func(v visit) float64 { return v.call }},
		{"the script in Redis", live, func(v visit) float64 { return v.script }},
		{"CPU of Redis", live, func(v visit) float64 { return v.cpu }},
		{"at rest: to the caller", rest, func(v visit) float64 { return v.call }},
		{"the script in Redis", rest, func(v visit) float64 { return v.script }},
		{"CPU of Redis", rest, func(v visit) float64 { return v.cpu }},
	} {
		a, b := column(row.p.full, row.f), column(row.p.empty, row.f)
		fmt.Fprintf(&w, "| %s | %s | %s | **%s** | ≤ 1.10 |\n", row.name, span("%.1f", a), span("%.1f", b), span("%.2f", ratios(a, b)))
	}
	return w.String()
}

// shares are the largest over the mean, and the smallest over it.
func shares[T int | float64](v []T) (float64, float64) {
	var sum float64
	for _, x := range v {
		sum += float64(x)
	}
	mean := sum / float64(len(v))
	return float64(slices.Max(v)) / mean, float64(slices.Min(v)) / mean
}

// partition is where a customer's keys live, as store/keys.go has it.
func partition(c kefu.CustomerID, partitions int) int {
	h := fnv.New64a()
	_, _ = io.WriteString(h, string(c.App)+"\x00"+c.User)
	return int(h.Sum64() % uint64(partitions)) //nolint:gosec // a remainder
}

func spreadTable(f *filled, counted []int) string {
	var w strings.Builder
	w.WriteString("## Customers over partitions\n\n| partitions | customers each | largest / mean | smallest / mean |\n|---|---|---|---|\n")
	for _, p := range []int{len(counted), 64, 256, 1024} {
		v, how := make([]int, p), "reckoned"
		for n := range f.customers {
			v[partition(f.who(n), p)]++
		}
		if p == len(counted) {
			v, how = counted, "counted"
		}
		most, least := shares(v)
		fmt.Fprintf(&w, "| %d (%s) | %d | %.3f | %.3f |\n", p, how, f.customers/p, most, least)
	}
	return w.String()
}

// decide is the time of a decision, as the benchmark of the router has it.
func decide(ctx context.Context) (string, error) {
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkDecide$/^[0-9]+$", "-benchtime", "300ms", "-count", "5", "./router")
	c.Dir = ".."
	b, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("benchmark of the router: %w", err)
	}
	took := map[string][]float64{}
	for line := range strings.Lines(string(b)) {
		var name string
		var runs int
		var ns float64
		if _, err := fmt.Sscanf(line, "BenchmarkDecide/%s %d %f ns/op", &name, &runs, &ns); err == nil {
			name, _, _ = strings.Cut(name, "-")
			took[name] = append(took[name], ns/1e3)
		}
	}
	var w strings.Builder
	w.WriteString("## A decision\n\n`router.Decide` by itself (`go test -bench Decide ./router`), as when a customer is new.\n\n| candidates | µs |\n|---|---|\n")
	for _, n := range []string{"1", "100", "10000"} {
		fmt.Fprintf(&w, "| %s | %s |\n", n, span("%.2f", took[n]))
	}
	return w.String(), nil
}
