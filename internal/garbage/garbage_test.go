package garbage

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGarbage(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, c := range []struct {
		inUse, made uint64
		in          time.Duration
		want        int
	}{
		{0, 0, 0, 1200}, // 12 MiB
		{3 * mib, mib, time.Minute, 400},
		{12 * mib, mib, time.Minute, 100},
		{12 * mib, 12 * mib, time.Second, 200}, // 24 MiB
		{10 * mib, 40 * mib, 500 * time.Millisecond, 640},
		{32 * mib, 128 * mib, 2 * time.Second, 200},
		{200 * mib, mib, time.Minute, 50},
		{4096 * mib, 4096 * mib, time.Second, 50},
	} {
		if got := percent(c.inUse, c.made, c.in); got != c.want {
			t.Errorf("%d MiB in use, %d made in %s: %d %%, want %d %%", c.inUse/mib, c.made/mib, c.in, got, c.want)
		}
	}
}

func TestCollectMakesRoomForWhoIsBusy(t *testing.T) { //nolint:paralleltest // it is the whole process's
	ctx, stop := context.WithCancel(t.Context())
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer stop()
	Collect(ctx)
	now := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for range 5000 {
		kept = make([]byte, 1<<20)
		<-time.After(time.Millisecond) // who collects must have his turn
		if metrics.Read(now); now[0].Value.Uint64() > atFirst {
			return
		}
	}
	t.Errorf("%d %% while it allocates a GiB a second, want more than the %d %% of the start", now[0].Value.Uint64(), atFirst)
}

var kept []byte // so that it is allocated
