package store_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/kefu"
	"kefud/store"
)

// BenchmarkReceiveAmong receives pushes in a store where nobody is, and in one where
// KEFUD_RESTING customers rest (20,000 unless it is set), by turns, and gives the
// median time of a push of the second in relation to the first. The pushes are of customers who are
// in conversation, of new ones, and of some who rest, against new ones. It also
// gives what Redis needs for one who rests, its own tables included.
func BenchmarkReceiveAmong(b *testing.B) {
	resting := 20_000
	if n, err := strconv.Atoi(os.Getenv("KEFUD_RESTING")); err == nil {
		resting = n
	}
	empty, full := newCrowd(b, 0), newCrowd(b, resting)
	for _, c := range []struct {
		name             string
		ofEmpty, ofCrowd func(n int64) string
	}{
		{"known", talking, talking},
		{"new", newcomer("a"), newcomer("a")},
		{"back", newcomer("b"), func(n int64) string { return sleeper(n % int64(resting)) }},
	} {
		b.Run(fmt.Sprintf("%s/%d", c.name, resting), func(b *testing.B) {
			var took, used [2][]float64
			for i := range 2 * b.N {
				side, of, users := (i+i/2)%2, empty, c.ofEmpty // one, the other, the other, the one
				if side == 1 {
					of, users = full, c.ofCrowd
				}
				before, began := of.cpu(b), time.Now()
				of.push(b, users)
				took[side] = append(took[side], float64(time.Since(began).Nanoseconds())/crowdPushes)
				used[side] = append(used[side], of.cpu(b)-before)
			}
			b.ReportMetric(median(took[0]), "empty-ns/push")
			b.ReportMetric(median(took[1]), "among-ns/push")
			b.ReportMetric(median(took[1])/median(took[0]), "time-ratio")
			b.ReportMetric(median(used[1])/median(used[0]), "redis-cpu-ratio")
			b.ReportMetric(full.bytes, "bytes/resting")
		})
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

const (
	crowdPushes  = 4096 // of a turn
	crowdCallers = 64
	crowdTalks   = 1000
)

// A crowd is a store where some customers rest, and some talk.
type crowd struct {
	s     *store.Store
	redis *redistest.Server
	now   atomic.Int64 // ms since start
	count atomic.Int64 // of pushes
	bytes float64      // of one who rests
}

func sleeper(n int64) string { return fmt.Sprintf("oSLEEP34567890abcdefg%07d", n) }
func talking(n int64) string { return fmt.Sprintf("oTALKS34567890abcdefg%07d", n%crowdTalks) }
func newcomer(prefix string) func(int64) string {
	return func(n int64) string { return fmt.Sprintf("o%sNEW34567890abcdefgh%07d", prefix, n) }
}

func newCrowd(b *testing.B, resting int) *crowd {
	b.Helper()
	c := &crowd{redis: redistest.Start(b)}
	s, err := store.Open(b.Context(), store.Options{
		Addrs: []string{c.redis.Addr}, Timeout: 10 * time.Second, Now: c.at,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	c.s = s
	before := info(b, c.redis, "used_memory")
	c.all(int64(resting), func(n int64) { c.serve(b, sleeper(n)) })
	c.now.Add((idle + time.Minute).Milliseconds())
	if n, err := s.Rest(b.Context()); n != resting || err != nil {
		b.Fatalf("%d rest, %v; want %d", n, err, resting)
	}
	for _, key := range allKeys(b, s) {
		if strings.Contains(key, ":push:") { // which ends after a minute
			s.Client().Del(b.Context(), key)
		}
	}
	c.bytes = (info(b, c.redis, "used_memory") - before) / float64(max(1, resting))
	c.all(crowdTalks, func(n int64) { c.serve(b, talking(n)) })
	return c
}

func (c *crowd) at() time.Time { return start.Add(time.Duration(c.now.Load()) * time.Millisecond) }

func (c *crowd) cpu(b *testing.B) float64 {
	b.Helper()
	return info(b, c.redis, "used_cpu_user") + info(b, c.redis, "used_cpu_sys")
}

// all calls f with 0 … n-1, by many at once.
func (c *crowd) all(n int64, f func(int64)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range crowdCallers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

func (c *crowd) receipt(user string) kefu.Receipt {
	return kefu.Receipt{
		Customer: kefu.CustomerID{App: "shop", User: user}, Key: kefu.MessageKey(strconv.FormatInt(24_000_000_000_000_000+c.count.Add(1), 10)),
		At: c.at(), Default: "presale", DefaultSticky: sticky, Reach: reach("wangwei1"), Idle: idle, Allowance: allowance,
	}
}

func (c *crowd) serve(b *testing.B, user string) {
	r := c.receipt(user)
	got, err := c.s.Receive(b.Context(), r)
	if err != nil {
		b.Errorf("receive: %v", err)
		return
	}
	_, err = c.s.Settle(b.Context(), kefu.Settlement{
		Customer: r.Customer, Key: r.Key, At: r.At, Version: got.Version, Idle: idle, Entry: "presale", Sticky: sticky,
		Agent: "wangwei1", Owner: "wangwei1", Answer: named("wangwei1"),
	})
	if err != nil {
		b.Errorf("settle: %v", err)
	}
}

func (c *crowd) push(b *testing.B, user func(int64) string) {
	from := c.count.Load()
	c.all(crowdPushes, func(n int64) {
		if _, err := c.s.Receive(b.Context(), c.receipt(user(from+n))); err != nil {
			b.Errorf("receive: %v", err)
		}
	})
}
