// Package soak is for the tests of what can go wrong: how long they last, and
// where their figures go. They are short in `make test` and in full length in
// `make soak`, which also writes what they measured into docs/reliability.md.
//
// The name of such a test begins with TestReliable; each has rows in that
// document, one for each figure.
package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	fullVariable    = "KEFUD_SOAK"    // not empty: full length
	figuresVariable = "KEFUD_FIGURES" // file that figures are appended to, a line each
	document        = "docs/reliability.md"
)

// Full reports whether tests are to take their full length.
func Full() bool { return os.Getenv(fullVariable) != "" }

// Pick gives the short value, or the one for the full length.
func Pick[T any](short, full T) T {
	if Full() {
		return full
	}
	return short
}

// Measured notes what a test measured: id is the first cell of the figure's row in
// docs/reliability.md, and the test fails if there is no such row. It may be called
// by several tests at once, but only once for an id.
func Measured(t testing.TB, id, format string, args ...any) {
	t.Helper()
	figure := strings.NewReplacer("\n", " ", "\t", " ", "|", "/").Replace(fmt.Sprintf(format, args...))
	t.Logf("%s: %s", id, figure)
	rows, err := os.ReadFile(filepath.Join(root(t), document))
	if err != nil {
		t.Fatalf("read the rows: %v", err)
	}
	if !strings.Contains(string(rows), "\n| `"+id+"` |") {
		t.Errorf("%s has no row that begins with | `%s` |", document, id)
	}
	path := os.Getenv(figuresVariable)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // it is named by whoever runs the test
	if err != nil {
		t.Fatalf("note a figure: %v", err)
	}
	if _, err := fmt.Fprintf(f, "%s\t%s\n", id, figure); err != nil { // short enough to be written at once
		t.Errorf("note a figure: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("note a figure: %v", err)
	}
}

// root finds the module's folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod in any folder above this one")
		}
		dir = parent
	}
}
