package config

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Whatever the file holds, it is refused with a list of problems, or it is a
// config whose routing table can be made.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile(shipped)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data), "value")
	f.Add(routed, "")
	problems, err := os.ReadFile("testdata/problems.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range strings.Split(string(problems), "\n==== ")[1:] {
		_, rest, _ := strings.Cut(c, "\n")
		text, _, _ := strings.Cut(rest, ">>>>\n")
		f.Add(strings.ReplaceAll(text, "SHOP\n", shop), "x: [y]")
	}
	f.Add("apps: [{name: shop, token: ${T}, default_entry: '${T:-*}', entries: [{tag: '*', steps: []}]}]", "${T}")
	f.Add("apps: [{name: b, kind: official_account, role: switchboard, token: t, texts: {more: '${T:-{{.Left}}}', left: &l x, help: *l}}]", "{{.Nobody}}")
	f.Fuzz(func(t *testing.T, text, value string) {
		c, err := Parse("f.yaml", []byte(text), func(name string) (string, bool) { return value, len(name) < 3 })
		if err == nil {
			if _, err := c.Table(); err != nil {
				t.Fatalf("a config that was accepted has no table: %v", err)
			}
			return
		}
		var bad *Error
		if !errors.As(err, &bad) || len(bad.Problems) == 0 {
			t.Fatalf("got %#v, want an *Error with problems", err)
		}
		if got := strings.Count(err.Error(), "\n") + 1; got != len(bad.Problems) {
			t.Fatalf("%d lines for %d problems", got, len(bad.Problems))
		}
	})
}
