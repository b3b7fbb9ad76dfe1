package config

import (
	"fmt"
	"strings"
	"testing"
)

// large is a file of 100 apps with 100 agents and 50 entries each.
func large() []byte {
	var b strings.Builder
	b.WriteString("agents:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - {id: a%05d, name: 客服%05d, capacity: 5, desk: {app: app%02d, account: kf%d@gh_1a2b3c4d5e6f}}\n", i, i, i/100, 2001+i%100)
	}
	b.WriteString("apps:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  - name: app%02d\n    app_id: wx%016d\n    original_id: gh_1a2b3c4d5e6f\n    token: token%02d\n    default_entry: cs0\n    entries:\n", i, i, i)
		for j := range 50 {
			fmt.Fprintf(&b, "      - {tag: cs%d, name: 按钮%d, steps: [{agent: a%05d}, {agent: a%05d}]}\n", j, j, i*100+2*j, i*100+2*j+1)
		}
	}
	return []byte(b.String())
}

// A file as large as a very large company's is read without trouble.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	c := mustParse(t, string(large()), nil)
	if len(c.Agents) != 10_000 || len(c.Apps) != 100 || len(c.Apps[99].Entries) != 50 {
		t.Errorf("got %d agents and %d apps", len(c.Agents), len(c.Apps))
	}
}

// Reading a large file is of no hurry, but it happens beside customers' pushes; the
// table is made from it before the routing is swapped.
func BenchmarkLarge(b *testing.B) {
	text := large()
	c, err := Parse("config.yaml", text, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := Parse("config.yaml", text, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Table(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
