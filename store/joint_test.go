package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

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
// calls do.
func TestReceiveFromASilentServer(t *testing.T) {
	t.Parallel()
	node := redistest.Start(t)
	s := running(t, store.Options{Addrs: redistest.Addrs([]*redistest.Server{node}), Timeout: 300 * time.Millisecond})
	p := newPerson(t, s, "u1")
	p.push()
	node.Pause()
	defer node.Resume()
	ctx := new(budget.Budget).Start(t.Context(), time.Now().Add(time.Hour))
	defer ctx.Cancel()
	if got, err := s.Receive(ctx, p.receipt()); err == nil || !strings.Contains(err.Error(), "no answer within 300ms") {
		t.Errorf("%+v, %v, want no answer", got, err)
	}
}

// What many callers ask at once takes few writes.
func TestCallsGoTogether(t *testing.T) {
	t.Parallel()
	const callers, each = 64, 20
	r := redistest.Start(t)
	s := running(t, store.Options{Addrs: []string{r.Addr}, Timeout: 10 * time.Second})
	newPerson(t, s, "u0").served("wang", 0)
	before := info(t, r, "total_reads_processed")
	var all sync.WaitGroup
	for i := range callers {
		p := newPerson(t, s, fmt.Sprint("u", i+1))
		all.Go(func() {
			for range each {
				if _, err := s.Receive(t.Context(), p.receipt()); err != nil {
					t.Errorf("receive: %v", err)
				}
			}
		})
	}
	all.Wait()
	if n := info(t, r, "total_reads_processed") - before; n > callers*each/2 {
		t.Errorf("Redis read %.0f times for %d calls", n, callers*each)
	}
}

// When Redis has forgotten all scripts, as after a restart, what everybody asks anew still
// goes over one connection.
func TestForgottenScriptsTakeNoConnections(t *testing.T) {
	t.Parallel()
	const callers, few = 64, 8 // the test's own connections are among the few
	r := redistest.Start(t)
	s := running(t, store.Options{Addrs: []string{r.Addr}, Timeout: 10 * time.Second})
	newPerson(t, s, "u0").served("wang", 0)
	before := info(t, r, "total_connections_received")
	r.FlushScripts()
	var all sync.WaitGroup
	for i := range callers {
		p := newPerson(t, s, fmt.Sprint("u", i+1))
		all.Go(func() {
			if _, err := s.Receive(t.Context(), p.receipt()); err != nil {
				t.Errorf("receive: %v", err)
			}
		})
	}
	all.Wait()
	if n := info(t, r, "total_connections_received") - before; n > few {
		t.Errorf("%.0f connections were made for %d calls", n, callers)
	}
}

// A command is sent once, whatever becomes of it: who asked is told that it failed, and
// decides himself.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*redistest.Server, *toxiproxy.Proxy) error{
		"the answers are lost": func(_ *redistest.Server, p *toxiproxy.Proxy) error {
			_, err := p.Toxics.AddToxicJson(strings.NewReader(`{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 1}}`))
			return err
		},
		"Redis is read-only": func(r *redistest.Server, _ *toxiproxy.Proxy) error {
			_, err := r.Do("REPLICAOF", "127.0.0.1", "1")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const callers = 40
			r := redistest.Start(t)
			s, proxy := proxied(t, r)
			newPerson(t, s, "u0").push()
			if err := breaks(r, proxy); err != nil {
				t.Fatal(err)
			}
			before := called(t, r)
			var calls sync.WaitGroup
			for i := range callers {
				p := newPerson(t, s, fmt.Sprint("u", i+1))
				calls.Go(func() {
					if got, err := s.Receive(t.Context(), p.receipt()); err == nil {
						t.Errorf("%+v, want an error", got)
					}
				})
			}
			calls.Wait()
			if n := called(t, r) - before; n < 1 || n > callers {
				t.Errorf("Redis was called %d times by %d callers", n, callers)
			}
		})
	}
}

// called counts the scripts that a server was asked to run, and did or refused.
func called(t *testing.T, r *redistest.Server) int {
	t.Helper()
	var calls, refused int
	_, line, _ := strings.Cut(r.MustDo("INFO", "commandstats"), "cmdstat_evalsha:")
	for pair := range strings.SplitSeq(line[:strings.IndexByte(line, '\n')], ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		n, _ := strconv.Atoi(value) // others are no numbers
		switch name {
		case "calls":
			calls = n
		case "rejected_calls":
			refused = n
		}
	}
	return calls + refused
}
