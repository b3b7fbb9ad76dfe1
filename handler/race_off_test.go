//go:build !race

package handler

const raceAllocations = 0
