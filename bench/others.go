package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// A watch tells how much of the machine others had while something was measured.
type watch struct {
	begin      time.Time
	busy, ours time.Duration
}

func newWatch() watch { return watch{time.Now(), busy(), ours()} }

// others is in cores.
func (w watch) others() float64 {
	return max(0, float64(busy()-w.busy-ours()+w.ours)/float64(time.Since(w.begin)))
}

// ours is what this process has computed, with those that it has started and waited for.
func ours() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return own() + time.Duration(u.Utime.Nano()+u.Stime.Nano())
}

// busy is the time that all cores have computed, for a host of this machine as well.
func busy() time.Duration {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	var user, nice, system, idling, wait, irq, soft, steal int64
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idling, &wait, &irq, &soft, &steal); err != nil {
		return 0
	}
	return time.Duration(user+nice+system+irq+soft+steal) * tick
}
