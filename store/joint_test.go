package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kefud/internal/budget"
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

// A push that has time left does not wait for a silent server any longer than other
// calls do, on either way.
func TestReceiveFromASilentServer(t *testing.T) {
	t.Parallel()
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprint("together ", together), func(t *testing.T) {
			t.Parallel()
			node := redistest.Start(t)
			s := running(t, store.Options{Addrs: redistest.Addrs([]*redistest.Server{node}), Timeout: 300 * time.Millisecond})
			p := newPerson(t, s, "u1")
			p.push()
			if together {
				defer s.Join()()
			}
			node.Pause()
			defer node.Resume()
			ctx := budget.Until(t.Context(), time.Now().Add(time.Hour))
			defer ctx.Cancel()
			if got, err := s.Receive(ctx, p.receipt()); err == nil || !strings.Contains(err.Error(), "no answer within 300ms") {
				t.Errorf("%+v, %v, want no answer", got, err)
			}
		})
	}
}
