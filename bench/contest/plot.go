package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// bars are what the plot shows: the time of each entrant to that of raw.
type bars struct {
	workload string
	entrants []bar
}

type bar struct {
	name  string
	ratio float64
}

// bars returns those of plain throughput.
func (o outcome) bars() []bars {
	var all []bars
	for _, name := range o.order {
		byName := o.results[name]
		if len(byName[raw]) == 0 || name == latency || name == slow {
			continue
		}
		group := bars{workload: name}
		for _, entrant := range []string{us, millName} {
			if mine := byName[entrant]; len(mine) > 0 {
				group.entrants = append(group.entrants, bar{entrant, timeRatio.of(mine, o.results.base(name, raw))})
			}
		}
		all = append(all, group)
	}
	return all
}

// Sizes of the plot, in pixels. An axis of beyond times raw would leave ours too
// small to see.
const (
	left, width, beyond = 250, 430, 2.0
	barHeight, gap      = 12, 12
	top, below, margin  = 44, 24, 120
)

// writePlot writes the outcome as SVG, with colours for light and dark pages.
func (o outcome) writePlot(w io.Writer) error {
	groups := o.bars()
	height := top + below
	for _, g := range groups {
		height += len(g.entrants)*barHeight + gap
	}
	x := func(ratio float64) float64 { return left + min(ratio, beyond)/beyond*width }
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<style>
text { fill: #24292f } .axis { stroke: #8c959f } .ours { fill: #1a7f64 } .watermill { fill: #b08800 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #3fb68b } .watermill { fill: #d4a72c } }
</style>
<title>Time per event, the raw client with encoding/json = 1</title>
<text x="%d" y="18">time per event; the line is the raw client with encoding/json; shorter is faster</text>
`, left+width+margin, height, left)
	y := top
	for _, g := range groups {
		middle := y + len(g.entrants)*barHeight/2 + 4
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, middle, escape(g.workload))
		for _, e := range g.entrants {
			more := ""
			if e.ratio > beyond {
				more = " →"
			}
			fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n", e.name, left, y, x(e.ratio)-left, barHeight-2)
			fmt.Fprintf(b, `<text x="%.1f" y="%d" font-size="10">%s %.2f%s</text>`+"\n", x(e.ratio)+4, y+barHeight-3, e.name, e.ratio, more)
			y += barHeight
		}
		y += gap
	}
	fmt.Fprintf(b, `<line class="axis" x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke-dasharray="4 3"/>`+"\n", x(1), top-10, x(1), y)
	fmt.Fprintf(b, `<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n</svg>\n", left, top-10, left, y)
	return b.Flush()
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
