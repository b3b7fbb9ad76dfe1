package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
)

// The log's disk is full, or nobody reads the log: everything is answered as ever,
// what could not be logged is counted, and the end is a clean one.
func TestReliableWithoutALog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		row  string
		open func(t *testing.T) *os.File
	}{
		{"log-full", func(t *testing.T) *os.File {
			t.Helper()
			f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			must(t, err)
			return f
		}},
		{"log-blocked", func(t *testing.T) *os.File {
			t.Helper()
			reader, writer, err := os.Pipe()
			must(t, err)
			t.Cleanup(func() { _ = reader.Close() }) // nothing was read from it
			return writer
		}},
	} {
		t.Run(tt.row, func(t *testing.T) {
			t.Parallel()
			stderr := tt.open(t)
			o := rigOptions{
				config: strings.Replace(everydayConfig, "127.0.0.1:0", freeAddress(t), 1), redis: redistest.Start(t),
				agent: func(o *simulator.AgentOptions) { o.Capacity = 0 },
			}
			f := newFleet(t, o)
			exe, err := os.Executable()
			must(t, err)
			p := launchInto(t, f.env, stderr, exe, "serve", "--config", f.path)
			must(t, stderr.Close()) // the process has it
			f.processes, f.urls = []*process{p}, []string{"http://" + f.config.Listen}
			f.listens(f.urls[0])
			f.settle(o)
			d := newTide(f.rig, 50, "cs1", "cs2", "vip")
			d.stalled = watchStalls(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				d.run(ctx, 16)
			}()
			least := soak.Pick(100.0, 100_000)
			dropped := 0.0
			within(t, 10*patience, "lines are dropped", func() bool {
				dropped = metric(t, f.url, "kefud_log_lines_dropped_total")
				return dropped >= least
			})
			before := d.pushes.Load()
			eventually(t, "pushes are answered after that", func() bool { return d.pushes.Load() > before+100 })
			stop()
			<-ended
			d.good()
			began := time.Now()
			f.stop(p)
			soak.Measured(t, tt.row, "%d pushes answered, %.0f lines dropped and counted; slowest answer %s; the end took %s",
				d.pushes.Load(), dropped, d.slowest.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			f.well()
		})
	}
}

// freeAddress is one that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

// listens waits until somebody answers there.
func (f *fleet) listens(url string) {
	f.t.Helper()
	eventually(f.t, "the process listens", func() bool {
		req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, url+"/healthz", http.NoBody)
		must(f.t, err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // only that there is one counts
		return true
	})
}
