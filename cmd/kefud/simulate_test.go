package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSimulateAccountsForEverybodyAndDrawsLatencies(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: smallConfig})
	path := r.onDisk(smallConfig, "", nil)
	plot := filepath.Join(t.TempDir(), "latency.svg")
	got := kefud(t.Context(), "simulate", "--target", r.url, "--config", path,
		"--rate", "100", "--ramp", "1s", "--for", "2s", "--concurrency", "64", "--mix", "shop=2", "--plot", plot)
	if got.code != exitDone {
		t.Fatalf("exit code %d; stderr:\n%s\nstdout:\n%s", got.code, got.stderr, got.stdout)
	}
	for _, want := range []string{"customers ", "p99.9 ", "behind ", "≤ ", "\n0 customers without a human\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	picture, err := os.ReadFile(plot)
	must(t, err)
	if !strings.HasPrefix(string(picture), "<svg ") || !strings.Contains(string(picture), "at 100 pushes a second") {
		t.Errorf("the plot is\n%.300s", picture)
	}
}

func TestSimulateSaysWhenCustomersAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := start(t, rigOptions{config: smallConfig})
	other := strings.Replace(smallConfig, "token-of-shop", "another-token", 1)
	got := kefud(t.Context(), "simulate", "--target", r.url, "--config", r.onDisk(other, "", nil), "--customers", "2")
	if got.code != exitFailed || !strings.Contains(got.stderr, "verify shop") {
		t.Errorf("exit code %d; stderr:\n%s", got.code, got.stderr)
	}
}
