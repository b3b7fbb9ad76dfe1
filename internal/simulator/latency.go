package simulator

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Latency is how long answers took. Every one is kept, so percentiles are exact.
// The zero Latency is of none.
type Latency struct {
	took []time.Duration // sorted
}

// newLatency sorts what was measured.
func newLatency(took []time.Duration) Latency {
	slices.Sort(took)
	return Latency{took: took}
}

// Count is how many answers there were.
func (l Latency) Count() int { return len(l.took) }

// At is what so many percent did not exceed, from 0 to 100, by the nearest rank;
// 0 of none.
func (l Latency) At(percent float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	rank := int(math.Ceil(float64(len(l.took)) * percent / 100))
	return l.took[min(max(rank, 1), len(l.took))-1]
}

// Histogram writes how many answers took how long, a line for each range in
// which there are any or that lies between such.
func (l Latency) Histogram(w io.Writer) error {
	if len(l.took) == 0 {
		return nil
	}
	const width = 40
	var b strings.Builder
	most, from := 0, 0
	var limits []time.Duration
	var counts []int
	for _, limit := range latencyLimits(l.took[0], l.At(100)) {
		to := from + countTo(l.took[from:], limit)
		limits, counts = append(limits, limit), append(counts, to-from)
		most, from = max(most, to-from), to
	}
	for i, n := range counts {
		bar := strings.Repeat("█", n*width/most)
		if n > 0 && bar == "" {
			bar = "▏"
		}
		line := fmt.Sprintf("%8s %9d %6.2f %% %s", "≤ "+limits[i].String(), n, 100*float64(n)/float64(len(l.took)), bar)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the histogram: %w", err)
	}
	return nil
}

// latencyLimits are the upper ends of ranges that hold from and to: 1, 2, 5, 10,
// 20, 50 and so on.
func latencyLimits(from, to time.Duration) []time.Duration {
	var limits []time.Duration
	for decade := 10 * time.Microsecond; ; decade *= 10 {
		for _, n := range []int{1, 2, 5} {
			limit := time.Duration(n) * decade
			if limit >= from {
				limits = append(limits, limit)
			}
			if limit >= to {
				return limits
			}
		}
	}
}

// countTo is how many of sorted durations do not exceed a limit.
func countTo(took []time.Duration, limit time.Duration) int {
	n, _ := slices.BinarySearch(took, limit+1)
	return n
}
