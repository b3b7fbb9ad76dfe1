package store_test

import (
	"fmt"
	"strings"
	"testing"

	"kefud/internal/redistest"
	"kefud/store"
)

// A script goes straight to the node that has the customer's keys.
func TestClusterIsNotAskedInVain(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	s := running(t, store.Options{Addrs: redistest.Addrs(nodes)})
	warm(t, s) // it has learned who has what
	moved := func() string {
		var all []string
		for _, n := range nodes {
			for line := range strings.Lines(n.MustDo("INFO", "errorstats")) {
				if strings.HasPrefix(line, "errorstat_MOVED") {
					all = append(all, n.Addr+" "+line)
				}
			}
		}
		return strings.Join(all, "")
	}
	before := moved()
	for i := range 3 * s.Partitions() {
		newPerson(t, s, fmt.Sprint("u", i)).push()
	}
	same(t, "calls sent elsewhere", moved(), before)
}
