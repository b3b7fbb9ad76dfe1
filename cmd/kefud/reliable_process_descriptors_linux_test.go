package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
)

// A throng is people who hold connections open, say nothing or half of something,
// and come again when they are sent away.
type throng struct {
	stop    func()
	holders sync.WaitGroup
}

// besiege returns once everybody has come at least once.
func besiege(t *testing.T, url string, people int, again time.Duration) *throng {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &throng{stop: stop}
	var came sync.WaitGroup
	came.Add(people)
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for i := range people {
		<-ticks.C
		arrived := sync.OnceFunc(came.Done)
		s.holders.Go(func() {
			defer arrived()
			for ctx.Err() == nil {
				hold(ctx, strings.TrimPrefix(url, "http://"), i%2 == 0, arrived)
				select {
				case <-ctx.Done():
				case <-time.After(again):
				}
			}
		})
	}
	t.Cleanup(s.lift)
	came.Wait()
	return s
}

// hold keeps a connection until it is cut, or ctx ends.
func hold(ctx context.Context, addr string, speaks bool, arrived func()) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	arrived()
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends the reading
	defer func() { _ = conn.Close() }()                         // it is closed already, or of no use
	if speaks {
		_, _ = io.WriteString(conn, "POST /wechat/shop HTTP/1.1\r\nHost:") // fails if it is cut
	}
	_, _ = io.Copy(io.Discard, conn) // ends with the connection
}

// lift ends it.
func (s *throng) lift() {
	s.stop()
	s.holders.Wait()
}

// The process may have few descriptors, and others hold more connections than that;
// then it may suddenly have no more than it uses. Customers are answered as ever,
// Redis stays connected, the log says what is the matter, and nothing spins.
func TestReliableWithoutDescriptors(t *testing.T) {
	t.Parallel()
	o := rigOptions{config: everydayConfig, redis: redistest.Start(t), agent: func(o *simulator.AgentOptions) { o.Capacity = 0 }}
	f := newFleet(t, o)
	exe, err := os.Executable()
	must(t, err)
	const descriptors = 128
	script := fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, descriptors)
	p := launchInto(t, f.env, nil, "/bin/sh", "-c", script, exe, "serve", "--config", f.path)
	f.processes, f.urls = []*process{p}, []string{p.serving()}
	f.settle(o)
	if most := f.metric("kefud_connections_most"); most != descriptors/2 {
		t.Errorf("at most %.0f connections of %d descriptors", most, descriptors)
	}
	f.wire.next = &http.Transport{DisableKeepAlives: true} // each push comes by a connection of its own
	d := newTide(f.rig, 40, "cs1", "cs2", "vip")
	d.stalled = watchStalls(t)
	d.every.Store(int64(10 * time.Millisecond))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.run(ctx, 8)
	}()
	length := soak.Pick(2*time.Second, 60*time.Second)
	began := time.Now()

	holders := soak.Pick(200, 500)
	crowd := besiege(t, f.url, holders, 5*time.Second)
	<-time.After(length)
	crowd.lift()
	eventually(t, "they are gone", func() bool { return f.metric("kefud_connections") < descriptors/4 })
	cut := f.metric("kefud_connections_cut_total")
	if cut < float64(holders-descriptors) {
		t.Errorf("%.0f of %d idle connections were cut", cut, holders)
	}

	few := besiege(t, f.url, 30, time.Hour)
	eventually(t, "they are there", func() bool { return f.metric("kefud_connections") >= 30 })
	limit(t, p.cmd.Process.Pid, fewestFiles(t, p.cmd.Process.Pid))
	before, at := processorTime(t, p.cmd.Process.Pid), time.Now()
	<-time.After(length)
	busy := (processorTime(t, p.cmd.Process.Pid) - before).Seconds() / time.Since(at).Seconds()
	if busy > 0.8 {
		t.Errorf("without descriptors it takes %.0f %% of a core", 100*busy)
	}
	if n := f.metric("kefud_connections_cut_total"); n <= cut {
		t.Error("without a descriptor left no connection was cut")
	}
	limit(t, p.cmd.Process.Pid, descriptors)
	few.lift()
	pushes := d.pushes.Load()
	eventually(t, "all is as ever", func() bool { return d.pushes.Load() > pushes+50 })
	stop()
	<-ended
	d.good()
	if n := f.metric("kefud_degraded_total"); n != 0 && d.stalled.longest() < budget/10 {
		t.Errorf("%.0f answers degraded, so Redis was not there", n)
	}
	told := strings.Count(p.log.String(), `"message":"too many connections`)
	if most := 1 + int(time.Since(began)/(10*time.Second)); told == 0 || told > most {
		t.Errorf("the log says so %d times, at most %d are wanted", told, most)
	}
	soak.Measured(t, "descriptors", "%d descriptors and %d connections held: %d pushes answered, slowest %s; %.0f connections cut, %d lines about it; %.0f %% of a core without any descriptor left",
		descriptors, holders, d.pushes.Load(), d.slowest.Round(time.Millisecond), f.metric("kefud_connections_cut_total"), told, 100*busy)
	f.stop(p)
	f.well()
}

// limit sets how many descriptors a process may have.
func limit(t *testing.T, pid int, n uint64) {
	t.Helper()
	value := syscall.Rlimit{Cur: n, Max: 128}
	_, _, failed := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&value)), 0, 0, 0)
	if failed != 0 {
		t.Fatalf("limit descriptors: %v", failed)
	}
}

// processorTime is how long a process has been computing.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), ") ")
	var sum time.Duration
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime, in hundredths of a second
		ticks, err := strconv.Atoi(field)
		must(t, err)
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}

// fewestFiles is how many files a process has open between two pushes, whose
// connections come and go, less what it may close by itself.
func fewestFiles(t *testing.T, pid int) uint64 {
	t.Helper()
	fewest := len(openFiles(t, pid))
	for range 100 {
		fewest = min(fewest, len(openFiles(t, pid)))
	}
	const spare = 4 // that others may close: the API's, those of Redis
	return uint64(fewest - spare)
}
