package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kefud/internal/budget"
	"kefud/internal/redistest"
	"kefud/kefu"
	"kefud/store"
)

// BenchmarkReceive has many callers at once receive the pushes of customers whose
// conversations stay with their agents, as a busy server does. Besides the time it
// gives what one push costs this process and Redis, and how often the socket to
// Redis was read by Redis, which is how many writes it took at least.
func BenchmarkReceive(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 256} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) { benchReceive(b, callers) })
	}
}

func benchReceive(b *testing.B, callers int) {
	redis := redistest.Start(b)
	s, err := store.Open(b.Context(), store.Options{Addrs: []string{redis.Addr}, Timeout: 10 * time.Second, Now: func() time.Time { return start }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	people := make([]*person, 1000)
	for i := range people {
		people[i] = newPerson(b, s, fmt.Sprintf("oABCD1234567890abcdefgh%05d", i))
		people[i].served("wang", 0)
	}
	before, reads, own := info(b, redis, "used_cpu_user")+info(b, redis, "used_cpu_sys"), info(b, redis, "total_reads_processed"), cpu(b)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				r := kefu.Receipt{
					Customer: people[n%int64(len(people))].id, Key: kefu.MessageKey(strconv.FormatInt(24000000000000000+n, 10)),
					At: start.Add(time.Duration(n) * time.Millisecond / 100), Default: "cs1", DefaultSticky: sticky,
					Reach: everybody, Idle: idle, Allowance: allowance,
				}
				ctx := new(budget.Budget).Start(b.Context(), time.Now().Add(time.Hour))
				got, err := s.Receive(ctx, r)
				if ctx.Cancel(); err != nil || !got.Kept {
					b.Errorf("push %d: %+v, %v, want kept", n, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric((cpu(b)-own)*1e6/n, "own-µs/op")
	b.ReportMetric((info(b, redis, "used_cpu_user")+info(b, redis, "used_cpu_sys")-before)*1e6/n, "redis-µs/op")
	b.ReportMetric((info(b, redis, "total_reads_processed")-reads)/n, "reads/op")
}

// info reads one number that Redis tells of itself.
func info(tb testing.TB, redis *redistest.Server, name string) float64 {
	tb.Helper()
	for line := range strings.Lines(redis.MustDo("INFO", "everything")) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+":"); found {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				tb.Fatalf("INFO %s: %v", name, err)
			}
			return n
		}
	}
	tb.Fatalf("INFO tells no %s", name)
	return 0
}

// cpu is the time in seconds that this process has used so far.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
