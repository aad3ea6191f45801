package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// outcome is what a run of the contest found.
type outcome struct {
	settings settings
	began    time.Time
	took     time.Duration
	load     string // of the machine before it
	order    []string
	entrants map[string][]entrant
	results  results
}

// writeReport writes the outcome as Markdown.
func (o outcome) writeReport(w io.Writer, plot string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# What an event costs\n\nWritten by `make bench` (package [contest](contest)), %s, in %v: %s, %d cores, %s/%s, %s; load before it %s.\n\n",
		o.began.Format("2006-01-02 15:04"), o.took.Round(time.Second), runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, cpuModel(), o.load)
	fmt.Fprintf(b, "The server is another process, a new one for each workload. Medians of %d rounds in which the contestants take turns; a ratio is one of\n"+
		"medians. CPU, allocations and bytes are the client process's. *Raw* is stan.go, or nats.go/jetstream, with encoding/json, as a competent\n"+
		"user writes it; *%s* is the same code under another name: ratios and the plot are to the rounds of both, and the distance of the two is noise: what\n"+
		"is met or missed by less may be the other in the next run. At most %d events are in flight. *Holds*: what receiving adds to the\n"+
		"process, when all events are handled. The reasons' shares of the CPU are of profiles, in bench/:\n"+
		"`go run ./contest -only '<workload>' -entrant '^<entrant>$' -profile <folder>`, then `go tool pprof -top -cum <folder>/*`.\n\n",
		o.settings.rounds, rawAgain, inFlight)
	fmt.Fprintf(b, "![time per event, raw = 1](%s)\n\n## Goals\n\n", plot)
	o.goals(b)
	fmt.Fprint(b, "\n## All figures\n\nPer event; in brackets the ratio to raw, both of it, or else to the entrant that has 1.\n")
	for _, name := range o.order {
		o.workload(b, name)
	}
	return b.Flush()
}

func (o outcome) goals(b io.Writer) {
	fmt.Fprint(b, "| | goal | measured | |\n| --- | --- | --- | --- |\n")
	for _, g := range goals() {
		if !g.ran(o.results) {
			continue
		}
		value, _ := g.measured(o.results)
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", g.what, g.limitText(), digits(value), g.verdict(o.results))
	}
}

// digits writes three digits that matter, and no more than two behind the point.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func (o outcome) workload(b io.Writer, name string) {
	fmt.Fprintf(b, "\n### %s\n\n| | time | CPU | allocations | bytes |\n| --- | --- | --- | --- | --- |\n", name)
	for _, e := range o.entrants[name] {
		mine, other := o.results[name][e.name], o.results.base(name, e.of)
		both := func(value func(sample) float64, write func(float64) string) string {
			v := median(mine, value)
			if len(other) == 0 { // it was left out
				return write(v)
			}
			return fmt.Sprintf("%s (%s)", write(v), digits(v/median(other, value)))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", e.name,
			both(timeOf, micro), both(cpuOf, micro), both(allocsOf, digits), both(bytesOf, digits))
		for _, extra := range []string{p50, p99} {
			if v := median(mine, extraOf(extra)); v > 0 {
				fmt.Fprintf(b, "| %s, %s | %s | | | |\n", e.name, extra, both(extraOf(extra), micro))
			}
		}
		if held := median(mine, extraOf(memory)); held != 0 {
			fmt.Fprintf(b, "| %s, holds | %s goroutines, %s KiB | | | |\n", e.name, digits(median(mine, extraOf(routines))), digits(held/1024))
		}
	}
}

// micro writes nanoseconds.
func micro(ns float64) string { return digits(ns/1000) + " µs" }

// cpuModel is what the machine says of itself, where it does.
func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// loadNow is the machine's load, where it tells.
func loadNow() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(data), " ")
	return load
}
