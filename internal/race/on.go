//go:build race

package race

const (
	Enabled     = true
	Allocations = 8
)
