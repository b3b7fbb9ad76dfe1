//go:build !race

package wechat

const raceAllocations = 0
