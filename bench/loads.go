package main

import (
	"fmt"
	"slices"
	"strings"
)

func values(loads []load, f func(load) float64) []float64 {
	v := make([]float64, len(loads))
	for i, l := range loads {
		v[i] = f(l)
	}
	return v
}

func spanOf(loads []load, format string, f func(load) float64) string {
	return span(format, values(loads, f))
}

func loadTable(sites []*site, got [][]load, server string) string {
	var w strings.Builder
	fmt.Fprintf(&w, "| | req/s | CPU µs a push: %s | all of Redis | each node | busiest node / mean | scripts a push | bytes a push to Redis | from Redis |\n|---|---|---|---|---|---|---|---|---|\n", server)
	for i, t := range sites {
		of := func(format string, f func(load) float64) string { return spanOf(got[i], format, f) }
		mid := func(f func(load) float64) float64 {
			v := slices.Sorted(slices.Values(values(got[i], f)))
			return v[len(v)/2]
		}
		var nodes []string
		for n := range t.redis {
			nodes = append(nodes, fmt.Sprintf("%.1f", mid(func(l load) float64 { return l.nodes[n] })))
		}
		own := func(l load) float64 { return l.server }
		if t.town != nil {
			own = func(l load) float64 { return l.generator }
		}
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %s | %s | %.2f | %.0f | %.0f |\n", t.name, of("%.0f", func(l load) float64 { return l.rate }),
			of("%.1f", own), of("%.1f", func(l load) float64 { return l.redis }),
			strings.Join(nodes, " "), of("%.2f", func(l load) float64 { most, _ := shares(l.nodes); return most }),
			mid(func(l load) float64 { return l.scripts }), mid(func(l load) float64 { return l.in }), mid(func(l load) float64 { return l.out }))
	}
	return w.String()
}
