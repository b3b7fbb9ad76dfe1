// Command bench measures kefud beside Gin's own floor and other servers, in one run
// whose rows take turns, and writes the figures down.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		exit(serve(os.Args[2], os.Args[3]))
	}
	if len(os.Args) > 1 && os.Args[1] == "footprint" {
		exit(runFootprint(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "scale" {
		exit(scale(os.Args[2:]))
	}
	rounds := flag.Int("rounds", 5, "how often each row is measured")
	d := flag.Duration("for", 5*time.Second, "how long each row is saturated, and then loaded by half")
	out := flag.String("out", "../docs/performance.md", "the file that is written")
	sweeping := flag.Int("saturating", 384, "connections that saturate")
	conns := flag.Int("connections", 48, "connections of the open loop")
	only := flag.String("rows", "", "measure only the rows whose name this regular expression finds, beside the Gin floor")
	program := flag.String("kefud", "", "the program that is measured; built from this tree if it is not given")
	level := flag.String("log", "info", "kefud's log level; info, its default, is a line a push")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, &bench{kefud: *program, conns: *conns, sweeping: *sweeping, d: *d, logLevel: *level}, *only, *rounds, *out))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// build makes a folder for the run, with kefud in it if none is given. The caller removes
// the folder.
func (b *bench) build(ctx context.Context) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "kefud-bench-"); err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	if b.kefud != "" {
		return nil
	}
	b.kefud = filepath.Join(b.dir, "kefud")
	return compile(ctx, "..", "./cmd/kefud", b.kefud, profilePath)
}

// compileSelf builds this program as the compared servers need it. The one that runs may
// have no names of functions, which perf asks for: go run leaves them out.
func (b *bench) compileSelf(ctx context.Context) error {
	b.self, b.profiled = filepath.Join(b.dir, "bench"), filepath.Join(b.dir, "profiled")
	return errors.Join(compile(ctx, ".", ".", b.self, "off"), compile(ctx, ".", ".", b.profiled, profilePath))
}

// profilePath is kefud's profile, by which it is built.
const profilePath = "../cmd/kefud/default.pgo"

// compile builds a program by a profile, or by none ("off").
func compile(ctx context.Context, dir, pkg, to, profile string) error {
	if profile != "off" {
		var err error
		if profile, err = filepath.Abs(profile); err != nil {
			return fmt.Errorf("find the profile: %w", err)
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-pgo="+profile, "-o", to, pkg) //nolint:gosec // ours
	build.Dir, build.Stderr = dir, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}

func run(ctx context.Context, b *bench, only string, rounds int, out string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("rows: %w", err)
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.compileSelf(ctx); err != nil {
		return err
	}
	b.pin(ctx)
	all := slices.DeleteFunc(rows(), func(r row) bool { return r.server != floor && !wanted.MatchString(r.name) })
	got := make([][]sample, len(all))
	for round := range rounds {
		for i, r := range all {
			s, err := b.measure(ctx, r)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			got[i] = append(got[i], s)
			fmt.Printf("%d/%d  %-42s %7.0f/s\n", round+1, rounds, r.name, s.rate)
		}
	}
	text := b.report(all, got, b.profiles(ctx, all, got))
	fmt.Print(text)
	if err := os.WriteFile(out, []byte(text), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// pin puts this process, with what it starts, on the second core, and leaves the
// first to the server.
func (b *bench) pin(ctx context.Context) {
	if runtime.NumCPU() < 2 {
		return
	}
	me := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", "1", strconv.Itoa(os.Getpid())) //nolint:gosec // a number
	if me.Run() == nil {
		b.serverCore = "0"
	}
}
