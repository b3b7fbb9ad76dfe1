//go:build !race

package race

// What is so without the race detector.
const (
	Enabled     = false
	Allocations = 0
)
