// Package garbage says when garbage is collected.
package garbage

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Garbage is collected when there is room no more: when the heap has grown by so many
// percent over what is in use, stacks included. In use are a few MiB, and a push leaves
// 6 KiB behind: with Go's 100 % a busy server would collect twenty times a second, and
// who pushes while it does waits for some milliseconds. So there is room for what comes
// together in pause, but not more than mostRoom; a server that rests needs little. With
// ten thousand connections 200 MiB are in use, and there is half of that at least.
const (
	pause        = 2 * time.Second
	leastRoom    = 12 << 20
	mostRoom     = 64 << 20
	leastGarbage = 50
	atFirst      = 400
)

// percent is for a server that makes so many bytes of garbage in so long.
func percent(inUse, made uint64, in time.Duration) int {
	room := min(float64(made)*pause.Seconds()/max(in.Seconds(), 1e-3), mostRoom)
	return max(leastGarbage, int(100*max(room, leastRoom)/float64(max(inUse, 1<<20))))
}

// Collect sets when garbage is collected, and again after each time that it was, until
// ctx ends.
func Collect(ctx context.Context) {
	debug.SetGCPercent(atFirst)
	afterEach(ctx, state{percent: atFirst, at: time.Now()})
}

// A state is what was when garbage was last collected.
type state struct {
	percent   int
	at        time.Time
	allocated uint64 // in all
}

// afterEach leaves something behind that is garbage, and looks how much is in use, and
// has been made, when that is collected. To set it stops the world for some microseconds.
func afterEach(ctx context.Context, last state) {
	runtime.AddCleanup(new([16]byte), func(last state) {
		if ctx.Err() != nil {
			return
		}
		in := []metrics.Sample{
			{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		}
		metrics.Read(in)
		now := state{percent: last.percent, at: time.Now(), allocated: in[2].Value.Uint64()}
		next := percent(in[0].Value.Uint64()+in[1].Value.Uint64(), now.allocated-last.allocated, now.at.Sub(last.at))
		if 10*max(next-last.percent, last.percent-next) > last.percent {
			debug.SetGCPercent(next)
			now.percent = next
		}
		afterEach(ctx, now)
	}, last)
}
