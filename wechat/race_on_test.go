//go:build race

package wechat

// raceAllocations are those of pools, which forget on purpose under the race detector.
const raceAllocations = 8
