package simulator

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"time"
)

// The plot's measures, in pixels.
const (
	plotWidth, plotHeight           = 760, 440
	plotLeft, plotRight             = 80, 24
	plotTop, plotBottom             = 48, 56
	plotInnerWidth, plotInnerHeight = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
)

// Plot writes the latencies as an SVG picture: over each share of the answers,
// what they did not exceed. Both axes are logarithmic: to the right, each step
// has a tenth of the answers of the one before.
func (l Latency) Plot(w io.Writer, title string) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12" fill="#333">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="%d" y="24" font-size="15">%s</text>`+"\n", plotLeft, html.EscapeString(title))
	if len(l.took) > 0 {
		l.plotted(&b)
	}
	b.WriteString("</svg>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

func (l Latency) plotted(b *strings.Builder) {
	limits := latencyLimits(l.took[0], l.At(100))
	low := math.Log10(float64(max(l.took[0], time.Microsecond)))
	high := math.Log10(float64(limits[len(limits)-1]))
	y := func(d time.Duration) float64 {
		share := (math.Log10(float64(max(d, time.Microsecond))) - low) / max(high-low, 0.1)
		return plotTop + plotInnerHeight*(1-min(max(share, 0), 1))
	}
	steps := math.Max(1, math.Log10(float64(len(l.took)))) // the last answer of all
	x := func(step float64) float64 { return plotLeft + plotInnerWidth*step/steps }

	for _, limit := range limits {
		rule(b, plotLeft, y(limit), plotWidth-plotRight, y(limit))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-8, y(limit)+4, limit)
	}
	for step := 0.0; step <= steps; step++ {
		rule(b, x(step), plotTop, x(step), plotHeight-plotBottom)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%.*f %%</text>`+"\n",
			x(step), plotHeight-plotBottom+20, int(max(step-2, 0)), 100-math.Pow(10, 2-step))
	}
	var points []string
	for step := 0.0; step < steps; step += steps / 400 {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x(step), y(l.At(100-math.Pow(10, 2-step)))))
	}
	points = append(points, fmt.Sprintf("%.1f,%.1f", x(steps), y(l.At(100))))
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#07c160" stroke-width="2"/>`+"\n", strings.Join(points, " "))
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">share of %d answers that took no longer</text>`+"\n",
		plotLeft+plotInnerWidth/2, plotHeight-12, len(l.took))
}

// rule draws a line of the grid.
func rule(b *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x1, y1, x2, y2)
}
