// Package race tells tests whether they run under the race detector: Enabled says so, and
// Allocations is how many more an operation makes then, for pools forget on purpose.
package race
