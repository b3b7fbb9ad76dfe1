// Package garbage says when garbage is collected.
package garbage

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Garbage is collected when there is room no more: when the heap has grown by so many
// percent over what is in use, stacks included. In use are a few MiB, and a push leaves
// 7 KiB behind: with Go's 100 % a busy server would collect twenty times a second. With
// ten thousand connections it is 200 MiB, and 400 % of that more than they are worth.
const (
	room         = 48 << 20
	leastGarbage = 50
	mostGarbage  = 400
)

func percent(inUse uint64) int {
	return int(min(mostGarbage, max(leastGarbage, 100*room/max(inUse, 1))))
}

// Collect sets when garbage is collected, and again after each time that it was, until
// ctx ends.
func Collect(ctx context.Context) {
	debug.SetGCPercent(mostGarbage)
	afterEach(ctx, mostGarbage)
}

// afterEach leaves something behind that is garbage, and looks how much is in use when
// that is collected. To set it stops the world for some microseconds.
func afterEach(ctx context.Context, last int) {
	runtime.AddCleanup(new([16]byte), func(last int) {
		if ctx.Err() != nil {
			return
		}
		in := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(in)
		next := percent(in[0].Value.Uint64() + in[1].Value.Uint64())
		if 10*max(next-last, last-next) > last {
			debug.SetGCPercent(next)
			last = next
		}
		afterEach(ctx, last)
	}, last)
}
