//go:build race

package race

// What is so under the race detector.
const (
	Enabled     = true
	Allocations = 8
)
