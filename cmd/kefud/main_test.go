package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/store"
)

// asKefud in the environment makes the test binary the program itself, so that
// tests can start processes of it.
const asKefud = "KEFUD_TEST_AS_KEFUD"

// clockAhead, with it, is how far ahead that process's clock is.
const clockAhead = "KEFUD_TEST_CLOCK_AHEAD"

func TestMain(m *testing.M) {
	if os.Getenv(asKefud) != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends with the test that holds the other end
			panic("the test that started this process is gone")
		}()
		ahead, _ := time.ParseDuration(os.Getenv(clockAhead)) // none: it is right
		mainBy(func() time.Time { return time.Now().Add(ahead) })
	}
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{
		"test.parallel": "8", // these tests wait for timers and other processes more than they compute
		"rapid.checks":  "6", // of a walk with a server, each of which takes seconds
		"rapid.steps":   "12",
	} {
		if given[name] {
			continue
		}
		if err := flag.Set(name, value); err != nil {
			panic(err) // this test binary has these flags
		}
	}
	m.Run()
}

// ran is what a command printed and ended with.
type ran struct {
	code           int
	stdout, stderr string
}

// kefud runs a command in this process.
func kefud(ctx context.Context, args ...string) ran {
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr, env: os.LookupEnv, now: time.Now}
	code := p.run(ctx, args)
	return ran{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// file writes a file of the test's own and gives its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatalf("write %s: %v", name, err)
	}
	return path
}

func TestCommandLineTellsWrongUsageFromFailure(t *testing.T) {
	t.Parallel()
	good := file(t, "good.yaml", smallConfig)
	closed := file(t, "closed.yaml", strings.Replace(smallConfig, "admin: {token: "+adminToken+"}", "", 1))
	bad := file(t, "bad.yaml", strings.Replace(smallConfig, "default_entry: cs1", "default_entry: cs9", 1))
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // a part of it
	}{
		{name: "no command: help", code: exitDone, stdout: "kefud demo"},
		{name: "help", args: []string{"--help"}, code: exitDone, stdout: "Exit codes"},
		{name: "help of serve", args: []string{"serve", "--help"}, code: exitDone, stdout: "SIGHUP"},
		{name: "help of demo", args: []string{"demo", "--help"}, code: exitDone, stdout: "--keep"},
		{name: "help of simulate", args: []string{"simulate", "--help"}, code: exitDone, stdout: "--target"},
		{name: "help of explain", args: []string{"explain", "--help"}, code: exitDone, stdout: "--openid"},
		{name: "version", args: []string{"version"}, code: exitDone, stdout: "kefud dev (commit unknown, go1."},
		{name: "unknown command", args: []string{"sevre"}, code: exitUsage, stderr: `unknown command "sevre"`},
		{name: "unknown flag", args: []string{"serve", "--conifg", "x"}, code: exitUsage, stderr: "unknown flag: --conifg"},
		{name: "an argument too much", args: []string{"serve", "config.yaml"}, code: exitUsage, stderr: "config.yaml"},
		{name: "no such file", args: []string{"serve", "--config", "/does/not/exist.yaml"}, code: exitUsage, stderr: "/does/not/exist.yaml"},
		{name: "a file with an error", args: []string{"serve", "--config", bad}, code: exitUsage, stderr: "bad.yaml:"},
		{name: "explain without a customer", args: []string{"explain", "--app", "shop"}, code: exitUsage, stderr: "openid"},
		{name: "explain with a bad file", args: []string{"explain", "--config", bad, "--app", "shop", "--openid", "o1"}, code: exitUsage, stderr: "bad.yaml:"},
		{name: "explain for an unknown app", args: []string{"explain", "--config", good, "--app", "nosuch", "--openid", "o1"}, code: exitUsage, stderr: `no app "nosuch"`},
		{name: "explain without a token", args: []string{"explain", "--config", closed, "--app", "shop", "--openid", "o1"}, code: exitFailed, stderr: "admin.token"},
		{name: "explain without a server", args: []string{"explain", "--config", good, "--app", "shop", "--openid", "o1", "--server", "http://127.0.0.1:1"}, code: exitFailed, stderr: "ask http://127.0.0.1:1"},
		{name: "help of agents", args: []string{"agents"}, code: exitDone, stdout: "invite"},
		{name: "agents do what", args: []string{"agents", "fire"}, code: exitUsage, stderr: "fire"},
		{name: "agents with a bad file", args: []string{"agents", "list", "--config", bad}, code: exitUsage, stderr: "bad.yaml:"},
		{name: "agents without a token", args: []string{"agents", "list", "--config", closed}, code: exitFailed, stderr: "admin.token"},
		{name: "agents without a server", args: []string{"agents", "list", "--config", good, "--server", "http://127.0.0.1:1"}, code: exitFailed, stderr: "ask http://127.0.0.1:1"},
		{name: "agents of no server's address", args: []string{"agents", "list", "--config", good, "--server", "http://h:x"}, code: exitFailed, stderr: "no address of a server"},
		{name: "invite nobody", args: []string{"agents", "invite", "--config", good}, code: exitUsage, stderr: "arg"},
		{name: "invite whom nobody knows", args: []string{"agents", "invite", "nosuch", "--config", good}, code: exitUsage, stderr: `no agent "nosuch"`},
		{name: "invite to no switchboard", args: []string{"agents", "invite", "wang", "--config", good}, code: exitUsage, stderr: "relay.app"},
		{name: "export without a customer", args: []string{"export", "--app", "shop"}, code: exitUsage, stderr: "openid"},
		{name: "export of an unknown app", args: []string{"export", "--config", good, "--app", "nosuch", "--openid", "o1"}, code: exitUsage, stderr: `no app "nosuch"`},
		{name: "export without a token", args: []string{"export", "--config", closed, "--app", "shop", "--openid", "o1"}, code: exitFailed, stderr: "admin.token"},
		{name: "forget without a yes", args: []string{"forget", "--config", good, "--app", "shop", "--openid", "o1"}, code: exitUsage, stderr: "--yes"},
		{name: "forget in an unknown app", args: []string{"forget", "--config", good, "--app", "nosuch", "--openid", "o1", "--yes"}, code: exitUsage, stderr: `no app "nosuch"`},
		{name: "forget without a token", args: []string{"forget", "--config", closed, "--app", "shop", "--openid", "o1", "--yes"}, code: exitFailed, stderr: "admin.token"},
		{name: "simulate without a target", args: []string{"simulate"}, code: exitUsage, stderr: "target"},
		{name: "simulate against no address", args: []string{"simulate", "--config", good, "--target", "nowhere"}, code: exitUsage, stderr: "no address of a server"},
		{name: "simulate nobody", args: []string{"simulate", "--config", good, "--target", "http://h", "--customers", "0"}, code: exitUsage, stderr: "--customers"},
		{name: "simulate a ramp to nothing", args: []string{"simulate", "--config", good, "--target", "http://h", "--ramp", "1s"}, code: exitUsage, stderr: "--rate"},
		{name: "simulate before now", args: []string{"simulate", "--config", good, "--target", "http://h", "--for", "-1s"}, code: exitUsage, stderr: "--for"},
		{name: "simulate a mix of what is no number", args: []string{"simulate", "--config", good, "--target", "http://h", "--mix", "shop=much"}, code: exitUsage, stderr: "--mix shop=much"},
		{name: "simulate a mix of nothing", args: []string{"simulate", "--config", good, "--target", "http://h", "--mix", "nosuch=1"}, code: exitUsage, stderr: `no app "nosuch"`},
		{name: "healthcheck without a server", args: []string{"healthcheck", "--url", "http://127.0.0.1:1/healthz"}, code: exitFailed, stderr: "healthcheck"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := kefud(t.Context(), tt.args...)
			if got.code != tt.code {
				t.Errorf("exit code %d, want %d; stderr:\n%s", got.code, tt.code, got.stderr)
			}
			if !strings.Contains(got.stdout, tt.stdout) {
				t.Errorf("stdout has no %q:\n%s", tt.stdout, got.stdout)
			}
			if !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("stderr has no %q:\n%s", tt.stderr, got.stderr)
			}
			if tt.code == exitDone && got.stderr != "" {
				t.Errorf("stderr of a success:\n%s", got.stderr)
			}
		})
	}
}

// The message of a broken file names the file, the line, the key, what is wrong
// and what would be right.
func TestServeWithABrokenFileSaysWhereAndWhat(t *testing.T) {
	t.Parallel()
	text := strings.Replace(smallConfig, "kind: mini_program", "kind: mini_programme", 1)
	text = strings.Replace(text, "agent: wang}", "agent: wong}", 1)
	path := file(t, "config.yaml", text)
	got := kefud(t.Context(), "serve", "--config", path)
	if got.code != exitUsage {
		t.Errorf("exit code %d, want %d", got.code, exitUsage)
	}
	for _, line := range []struct{ mark, key, right string }{
		{"mini_programme", "apps[0].kind", "mini_program"},
		{"wong", "steps[0].agent", "wang"},
	} {
		before, _, _ := strings.Cut(text, line.mark)
		want := path + ":" + itoa(1+strings.Count(before, "\n"))
		found := false
		for out := range strings.Lines(got.stderr) {
			found = found || strings.Contains(out, want) && strings.Contains(out, line.key) &&
				strings.Contains(out, line.mark) && strings.Contains(out, line.right)
		}
		if !found {
			t.Errorf("no line with %s, %s, %s and %s in:\n%s", want, line.key, line.mark, line.right, got.stderr)
		}
	}
}

func TestServeRefusesAnotherNumberOfPartitions(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	first, err := store.Open(t.Context(), store.Options{Addrs: []string{redis.Addr}, Prefix: "e2e", Partitions: 4})
	must(t, err)
	must(t, first.Check(t.Context()))
	must(t, first.Close())
	path := file(t, "config.yaml", strings.NewReplacer("${ADDR:-}", redis.Addr).Replace(smallConfig))
	got := kefud(t.Context(), "serve", "--config", path)
	if got.code != exitUsage || !strings.Contains(got.stderr, "redis.partitions") || !strings.Contains(got.stderr, "set partitions to 4") {
		t.Errorf("exit code %d, want %d and what to do:\n%s", got.code, exitUsage, got.stderr)
	}
}

func TestDemoEndsWithNobodyLeftAlone(t *testing.T) {
	t.Parallel()
	got := kefud(t.Context(), "demo")
	if got.code != exitDone {
		t.Errorf("exit code %d; stderr:\n%s", got.code, got.stderr)
	}
	if !strings.HasSuffix(got.stdout, "\n0 customers without a human\n") {
		t.Errorf("the demo ends with:\n%s", got.stdout)
	}
	if strings.Contains(got.stdout, "WeChat would complain") {
		t.Errorf("a rule of WeChat's was broken:\n%s", got.stdout)
	}
}
