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
	begin time.Time
	busy  time.Duration
}

func newWatch() watch { return watch{time.Now(), busy()} }

// others is in cores: what all have computed but this process and those that it has
// started and waited for.
func (w watch) others() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	ours := own() + time.Duration(u.Utime.Nano()+u.Stime.Nano())
	return max(0, float64(busy()-w.busy-ours)/float64(time.Since(w.begin)))
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
