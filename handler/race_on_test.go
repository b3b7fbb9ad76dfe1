//go:build race

package handler

// raceAllocations are those of pools, which forget on purpose under the race detector.
const raceAllocations = 8
