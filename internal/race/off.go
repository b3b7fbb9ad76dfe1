//go:build !race

package race

const (
	Enabled     = false
	Allocations = 0
)
