package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
)

// probeEvery is how often a balancer asks who is ready; patient ones ask less often,
// and want a longer shutdown_delay.
const probeEvery = 200 * time.Millisecond

// A balancer stands before replicas and does what one must at least do: it asks each
// again and again whether it is ready, and gives pushes in turn to those that are. It
// keeps connections open. A push goes to another replica only if the connection to
// the first was refused, so that nothing has been sent yet; nginx does no more for a
// POST.
type balancer struct {
	next http.RoundTripper

	mu       sync.Mutex
	replicas map[string]bool // by address: ready
	order    []string
	turn     int
	elsewise int // pushes that found a replica gone
}

// newBalancer probes until the test ends.
func newBalancer(t *testing.T, urls ...string) *balancer {
	t.Helper()
	b := &balancer{replicas: map[string]bool{}, next: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	for _, url := range urls {
		b.add(url)
	}
	ended := make(chan struct{})
	var probing sync.WaitGroup
	probing.Go(func() {
		ticks := time.NewTicker(probeEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticks.C:
				b.probe()
			}
		}
	})
	t.Cleanup(func() { close(ended); probing.Wait() })
	return b
}

func (b *balancer) add(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	host := strings.TrimPrefix(url, "http://")
	b.replicas[host], b.order = false, append(b.order, host)
}

// remove drops a replica that has ended.
func (b *balancer) remove(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	host := strings.TrimPrefix(url, "http://")
	delete(b.replicas, host)
	b.order = slices.DeleteFunc(b.order, func(s string) bool { return s == host })
}

func (b *balancer) probe() {
	b.mu.Lock()
	hosts := slices.Clone(b.order)
	b.mu.Unlock()
	for _, host := range hosts {
		ready := answers(host)
		b.mu.Lock()
		if _, there := b.replicas[host]; there {
			b.replicas[host] = ready
		}
		b.mu.Unlock()
	}
}

func answers(host string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // only its status counts
	return resp.StatusCode == http.StatusOK
}

// ready counts the replicas that get pushes.
func (b *balancer) ready() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, is := range b.replicas {
		if is {
			n++
		}
	}
	return n
}

// candidates lists the replicas in the order in which a push tries them.
func (b *balancer) candidates() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for i := range b.order {
		if host := b.order[(b.turn+i)%len(b.order)]; b.replicas[host] {
			all = append(all, host)
		}
	}
	b.turn++
	return all
}

// RoundTrip passes a push on.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	err = errors.New("no replica is ready")
	for _, host := range b.candidates() {
		out := req.Clone(req.Context())
		out.URL = &url.URL{Scheme: "http", Host: host, Path: req.URL.Path, RawQuery: req.URL.RawQuery}
		// Without GetBody the transport repeats nothing on its own.
		out.Host, out.GetBody, out.Body = host, nil, io.NopCloser(strings.NewReader(string(body)))
		var resp *http.Response
		resp, err = b.next.RoundTrip(out)
		var refused *net.OpError
		if err == nil || !errors.As(err, &refused) || refused.Op != "dial" {
			return resp, err
		}
		b.mu.Lock()
		b.elsewise++
		b.mu.Unlock()
	}
	return nil, err
}

// Three replicas behind a balancer are replaced one after the other, under load, and
// again: every push is answered, the first time, and in time; what is owed goes out,
// once and in order.
func TestReliableRollingRestart(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, 3, rigOptions{
		config: everydayConfig, redis: redistest.Start(t), env: map[string]string{"DELAY": "1s"},
		box: simulator.Options{Repushes: -1}, agent: func(o *simulator.AgentOptions) { o.Capacity = 0 },
	})
	chat := f.chatOf("chen")
	chat.says(f.invite("chen"))
	for _, url := range f.urls {
		f.ready(url)
	}
	way := newBalancer(t, f.urls...)
	f.wire.next = way
	eventually(t, "all replicas get pushes", func() bool { return way.ready() == 3 })
	d := newTide(f.rig, 60, "cs1", "cs2", "vip", "own")
	d.stalled = watchStalls(t)
	d.every.Store(int64(soak.Pick(5*time.Millisecond, 2*time.Millisecond)))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.run(ctx, 16)
	}()
	var slowest time.Duration
	rounds := soak.Pick(1, 10)
	for range rounds {
		for i := range 3 {
			slowest = max(slowest, f.replace(way, i))
		}
	}
	before := d.pushes.Load()
	eventually(t, "the load goes on", func() bool { return d.pushes.Load() > before+100 })
	stop()
	<-ended
	d.good()
	f.greetedOnce(d.people)
	soak.Measured(t, "rolling-restart", "%d replicas replaced one after the other, %d pushes: %d failed; slowest answer %s, slowest stop %s (%d pushes found a replica gone and went to another)",
		3*rounds, d.pushes.Load(), len(d.wrong), d.slowest.Round(time.Millisecond), slowest.Round(10*time.Millisecond), way.elsewise)
	for _, p := range f.processes[len(f.processes)-3:] {
		f.stop(p)
	}
	f.well()
}

// replace stops one of the replicas cleanly, and puts a new one in its place when
// the balancer has it. It tells how long the stop took.
func (f *fleet) replace(way *balancer, i int) time.Duration {
	f.t.Helper()
	old, url := f.processes[len(f.processes)-3], f.urls[0] // the oldest
	began := time.Now()
	old.signal(syscall.SIGTERM)
	if code := old.exit(10 * time.Second); code != exitDone {
		f.t.Errorf("replica %d ended with exit code %d", i, code)
	}
	took := time.Since(began)
	way.remove(url)
	f.urls = f.urls[1:]
	f.add()
	f.url = f.urls[len(f.urls)-1]
	way.add(f.url)
	eventually(f.t, "the balancer has three replicas again", func() bool { return way.ready() == 3 })
	return took
}

// greetedOnce waits until everybody has been greeted, and fails the test if somebody
// was greeted twice.
func (f *fleet) greetedOnce(people []*simulator.Customer) {
	f.t.Helper()
	for _, c := range people {
		greeted := func() int {
			n := 0
			for _, text := range notices(c) {
				if strings.HasPrefix(text, "greeting") {
					n++
				}
			}
			return n
		}
		f.await("the customer is greeted", func() bool { return greeted() > 0 })
		if n := greeted(); n != 1 {
			f.t.Errorf("greeted %d times", n)
		}
	}
}

// A process that is stopped while it sends waits for what is on its way, and gives
// back what it has not begun: nothing is sent twice, and nothing waits for the end of
// a lease.
func TestReliableStopLeavesNothingBehindALease(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	f := launchFleet(t, 1, rigOptions{config: everydayConfig, redis: redis, env: map[string]string{"API_TIMEOUT": "4s"}})
	rounds := soak.Pick(2, 20)
	var people []*simulator.Customer
	worst := time.Duration(0)
	for range rounds {
		lift := f.box.BreakAPI(simulator.APIBreak{Path: sendPath, Latency: time.Second})
		for range 100 { // more than there are workers
			c := f.somebody("shop")
			f.tap(c, "cs1")
			people = append(people, c)
		}
		eventually(t, "greetings are on their way", func() bool { return owedLatest(t, redis) > 3*time.Second })
		f.stop(f.processes[len(f.processes)-1])
		worst = max(worst, owedLatest(t, redis))
		lift()
		f.urls = nil
		f.add()
		f.take()
		f.ready(f.urls[0])
		f.url = f.urls[0]
		f.greetedOnce(people)
	}
	if worst > time.Second {
		t.Errorf("after a clean stop something waits for %s", worst)
	}
	soak.Measured(t, "clean-stop", "%d stops with greetings on their way to %d customers: nobody greeted twice or not at all, nothing put off for more than %s",
		rounds, len(people), worst.Round(time.Millisecond))
	f.stop(f.processes[len(f.processes)-1])
	f.well()
}

// owedLatest is how long the latest of all that is owed waits.
func owedLatest(t *testing.T, redis *redistest.Server) time.Duration {
	t.Helper()
	latest := time.Duration(0)
	for p := range 16 {
		at := redis.MustDo("EVAL", "return redis.call('ZRANGE', KEYS[1], 0, 0, 'REV', 'WITHSCORES')[2]", "1", "e2e:{"+itoa(p)+"}:lanes")
		if at == "" {
			continue // nothing is owed
		}
		due, err := strconv.ParseFloat(at, 64)
		must(t, err)
		latest = max(latest, time.Until(time.UnixMilli(int64(due))))
	}
	return latest
}
