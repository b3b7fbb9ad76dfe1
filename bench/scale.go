package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// A scaling measures how memory, time and work grow with customers, Redis nodes and
// processes, and is what its parts have in common.
type scaling struct {
	*bench
	rounds  int
	configs int // files written
}

// scale is `bench scale`: it writes docs/scale.md.
func scale(args []string) error {
	set := flag.NewFlagSet("scale", flag.ExitOnError)
	people := set.Int("customers", 1_000_000, "customers in the full Redis")
	few := set.Int("few", 20_000, "customers in the one that is as good as empty")
	rounds := set.Int("rounds", 5, "how often each row is measured")
	d := set.Duration("for", 2*time.Second, "how long each row is under load in a round")
	conns := set.Int("connections", 48, "callers, or connections of the generator")
	out := set.String("out", "../docs/scale.md", "the file that is written")
	only := set.String("only", "", "memory, cluster, processes, agents or partitions: that part alone, and nothing is written")
	_ = set.Parse(args) // it ends the process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &scaling{bench: &bench{conns: *conns, d: *d, logLevel: "info"}, rounds: *rounds}
	defer func() { _ = os.RemoveAll(s.dir) }()
	if err := s.build(ctx); err != nil {
		return err
	}
	w := newWatch()
	text, err := s.all(ctx, *only, *people, *few)
	if err != nil {
		return err
	}
	text += fmt.Sprintf("\nMeanwhile other work took %.1f of the machine's %d cores.\n", w.others(), runtime.NumCPU())
	fmt.Print(text)
	if *only != "" {
		return nil
	}
	if err := os.WriteFile(*out, []byte(text), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// all measures the parts, one after the other, and writes them up.
func (s *scaling) all(ctx context.Context, only string, people, few int) (string, error) {
	text, found := s.head(), false
	for _, part := range []struct {
		name string
		run  func() (string, error)
	}{
		{"memory", func() (string, error) { return s.memory(ctx, people, few) }},
		{"cluster", func() (string, error) { return s.nodes(ctx) }},
		{"processes", func() (string, error) { return s.processes(ctx) }},
		{"agents", func() (string, error) { return s.agents(ctx) }},
		{"partitions", func() (string, error) { return s.partitions(ctx) }},
	} {
		if only != "" && only != part.name {
			continue
		}
		found = true
		fmt.Println(part.name)
		more, err := part.run()
		if err != nil {
			return "", fmt.Errorf("%s: %w", part.name, err)
		}
		text += "\n" + more
	}
	if !found {
		return "", fmt.Errorf("no part %q", only)
	}
	return text, nil
}
