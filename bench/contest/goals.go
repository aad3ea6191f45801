package main

import (
	"fmt"
	"math"
	"slices"
)

// goal is a figure to be reached.
type goal struct {
	what     string // is measured
	workload string
	entrant  string
	of       string // compared to this entrant
	figure   figure
	limit    float64
	atLeast  bool   // the limit is the least, not the most
	reason   string // why it is missed, where it is
}

// figure computes a goal's figure from the samples of an entrant and of the one
// whom it is compared to.
type figure struct {
	unit  string
	of    func(mine, other []sample) float64
	ratio bool // of two contestants: 1 where they are the same
}

func ratioOf(unit string, value func(sample) float64) figure {
	return figure{unit, func(mine, other []sample) float64 { return median(mine, value) / median(other, value) }, true}
}

func timeOf(s sample) float64   { return s.time }
func cpuOf(s sample) float64    { return s.cpu }
func allocsOf(s sample) float64 { return s.allocs }
func bytesOf(s sample) float64  { return s.bytes }

func extraOf(name string) func(sample) float64 {
	return func(s sample) float64 { return s.extra[name] }
}

var (
	timeRatio   = ratioOf("of the time", timeOf)
	cpuRatio    = ratioOf("of the CPU", cpuOf)
	bytesRatio  = ratioOf("of the bytes allocated", bytesOf)
	allocsRatio = ratioOf("of the allocations", allocsOf)
	p50Ratio    = ratioOf("of the p50", extraOf(p50))
	faster      = figure{"times faster", func(mine, other []sample) float64 { return median(other, timeOf) / median(mine, timeOf) }, true}
	allocations = figure{"allocations", func(mine, _ []sample) float64 { return median(mine, allocsOf) }, false}
	allocsMore  = figure{"allocations more", func(mine, other []sample) float64 { return median(mine, allocsOf) - median(other, allocsOf) }, false}
)

// slack is how many allocations of an event count as none: pings, timers and the
// connection allocate now and then, too.
const slack = 0.2

// base is what others are compared to: of raw it is its rounds and those of raw once more,
// so that it is not one slow round that decides.
func (r results) base(workload, entrant string) []sample {
	samples := r[workload][entrant]
	if entrant == raw {
		samples = slices.Concat(samples, r[workload][rawAgain])
	}
	return samples
}

// ran reports whether both took part.
func (g goal) ran(r results) bool {
	return len(r[g.workload][g.entrant]) > 0 && len(r[g.workload][g.of]) > 0
}

// measured returns the goal's figure, and whether it is reached.
func (g goal) measured(r results) (value float64, met bool) {
	value = g.figure.of(r[g.workload][g.entrant], r.base(g.workload, g.of))
	limit := g.limit
	if g.figure.unit == allocations.unit || g.figure.unit == allocsMore.unit {
		limit += slack
	}
	if g.atLeast {
		return value, value >= limit
	}
	// As it is told: two digits.
	return value, math.Round(value*100)/100 <= limit
}

// noise is how far the figure may be off, as a part of it: as far as raw's, compared
// to raw once more, is from 1. 0: that was not measured.
func (g goal) noise(r results) float64 {
	again := r[g.workload][rawAgain]
	if !g.figure.ratio || len(again) == 0 {
		return 0
	}
	return math.Abs(g.figure.of(again, r[g.workload][raw]) - 1)
}

// verdict is what there is to say of the goal beside its figure.
func (g goal) verdict(r results) string {
	value, met := g.measured(r)
	verdict := "**not met**"
	if met {
		verdict = "met"
	}
	if noise := g.noise(r); noise > 0 && math.Abs(value-g.limit) <= noise*value {
		verdict += fmt.Sprintf(", by less than the noise (%.0f %%)", 100*noise)
	}
	if !met && g.reason != "" {
		verdict += ": " + g.reason
	}
	return verdict
}

func (g goal) limitText() string {
	if g.atLeast {
		return fmt.Sprintf(">= %.3g %s", g.limit, g.figure.unit)
	}
	return fmt.Sprintf("<= %.3g %s", g.limit, g.figure.unit)
}

// Why a goal is missed where it is, of profiles of the entrant alone.
const (
	whyListener = "server and client share two cores, so that time is the CPU of both. Of the client's, 19 % is decoding, 29 % the listener, which runs " +
		"handlers off stan.go's goroutine, once and in order, and most of the rest stan.go and nats.go. Needed: a core more"
	whyPlain = "51 % of the CPU is encoding/json, as with raw, and 19 % the listener's own part, about 1.2 µs an event, which raw does not have: handlers run off " +
		"stan.go's goroutine, once and in order, and for each event a clock is read, a lock taken and a table written. On two cores that the server needs, too, " +
		"it is not hidden by running beside stan.go. Needed: to promise less, or a core more"
	whyAll = "it varies with the machine, which is shared: 0.69, 0.72, 0.78, 0.82 and 0.92 of the CPU in five runs. In a profile 17 % of it is nats.go's publish and 14 % " +
		"system calls, as raw has them"
	whyAsync = "the server is what limits it: in a profile the client takes 55 % of one of the two cores, and raw is no slower for its greater CPU. Beyond that, " +
		"each publish costs a Pending"
	whyLatency = "an event passes one goroutine more on either side: the transport's that writes it, lest a socket that takes nothing hold up the publisher, and " +
		"the worker that runs the handler, lest that hold up all that stan.go delivers. Each has to be woken"
	whyReplay = "compare raw's rows: what takes seconds shares two cores with the server and whatever else runs, what takes a tenth of one often does not"
)

// goals are those of the project, all of what one contestant costs compared to another.
func goals() []goal {
	const (
		stan120, stan16K         = "NATS Streaming: Publish, 120 B", "NATS Streaming: Publish, 16 KiB"
		pipe120, pipe1K          = "NATS Streaming: pipelined, 120 B", "NATS Streaming: pipelined, 1 KiB"
		recv120, recv1K, recv16K = "NATS Streaming: receive, 120 B", "NATS Streaming: receive, 1 KiB", "NATS Streaming: receive, 16 KiB"
		jsPub, jsPipe, jsRecv    = "JetStream: Publish, 120 B", "JetStream: pipelined, 120 B", "JetStream: receive, 120 B"
	)
	all := []goal{
		{"`Publish`, 120 B", stan120, us, raw, timeRatio, 1.03, false, ""},
		{
			"`Publish`, 120 B", stan120, us, raw, cpuRatio, 1, false,
			"the event is written by a goroutine of the transport's, not the caller's, which a socket that takes nothing would hold up " +
				"beyond its context; waking it costs what is saved elsewhere",
		},
		{"`Publish`, 120 B", stan120, us, raw, allocations, 10, false, ""},
		{"`Publish`, 16 KiB", stan16K, us, raw, bytesRatio, 0.55, false, ""},
	}
	for _, way := range []struct{ what, entrant, why string }{{"`PublishAll`", us, whyAll}, {"`PublishAsync`", usAsync, whyAsync}} {
		all = append(all,
			goal{way.what + ", 120 B", pipe120, way.entrant, raw, timeRatio, 1, false, way.why},
			goal{way.what + ", 120 B", pipe120, way.entrant, raw, cpuRatio, 0.85, false, way.why},
			goal{way.what + ", 120 B", pipe120, way.entrant, raw, allocations, 10, false, ""},
			goal{way.what + ", 1 KiB", pipe1K, way.entrant, raw, timeRatio, 0.85, false, ""},
			goal{way.what + ", 1 KiB", pipe1K, way.entrant, raw, cpuRatio, 0.60, false, way.why},
		)
	}
	all = append(all,
		goal{"`PublishAll` against a loop of `Publish`, memory store", loopMemory, us, loop, faster, 25, true, ""},
		goal{"`PublishAll` against a loop of `Publish`, file store", loopFile, us, loop, faster, 80, true, ""},
	)
	for _, size := range []struct {
		name, workload string
		limit          float64
	}{{"120 B", recv120, 0.8}, {"1 KiB", recv1K, 0.5}, {"16 KiB", recv16K, 0.35}} {
		all = append(all,
			goal{"listener, 1024 in flight, " + size.name, size.workload, us, raw, timeRatio, size.limit, false, whyListener},
			goal{"listener, 1024 in flight, " + size.name, size.workload, us, raw, allocations, 11, false, ""},
		)
	}
	return append(all,
		goal{"listener, encoding/json chosen as codec", recv120, usPlain, raw, timeRatio, 1.05, false, whyPlain},
		goal{"listener, encoding/json chosen as codec", recv120, usPlain, raw, allocsMore, 0, false, ""},
		goal{"handler of 1 ms, 16 workers, ordered by key", slow, us, raw, faster, 12, true, ""},
		goal{"latency from `Publish` to handler", latency, us, raw, p50Ratio, 1.05, false, whyLatency},
		goal{"100 subjects and listeners against one", fanOut, hundred, one, timeRatio, 1.10, false, ""},
		goal{"replay of 1,000,000 against 10,000", replay, million, tenK, timeRatio, 1.15, false, whyReplay},
		goal{"idle listener", idle, us, us, figure{"goroutines", func(mine, _ []sample) float64 { return median(mine, extraOf(routines)) }, false}, 2, false, ""},
		goal{"idle listener", idle, us, us, figure{"KiB", func(mine, _ []sample) float64 { return median(mine, extraOf(memory)) / 1024 }, false}, 10, false, ""},
		goal{
			"JetStream `Publish`", jsPub, us, raw, timeRatio, 1.03, false,
			"nine headers an event (CloudEvents, message ID, stream) are written here and read by the server, where they make raw slower still (see the row *" +
				rawHeaders + "*), and the transport's goroutine that writes them has to be woken. Needed: fewer headers",
		},
		goal{"JetStream `Publish`", jsPub, us, raw, allocsMore, 0, false, ""},
		goal{
			"JetStream `PublishAll`", jsPipe, us, raw, timeRatio, 1, false,
			"nine headers an event (CloudEvents, message ID, stream) are nearly three times as large as the event, and make raw slower still (see the row *" +
				rawHeaders + "*). In a profile 22 % of the CPU is nats.go measuring and writing them, 14 % making the map that it wants, before it is collected;" +
				" and the server reads them. " +
				"Needed: a way to give nats.go headers as bytes, or fewer of them",
		},
		goal{"JetStream `PublishAll`", jsPipe, us, raw, allocsMore, 0, false, ""},
		goal{"JetStream `PublishAsync`", jsPipe, usAsync, raw, timeRatio, 1, false, "as with PublishAll"},
		goal{"JetStream `PublishAsync`", jsPipe, usAsync, raw, allocsMore, 0, false, ""},
		goal{
			"JetStream listener", jsRecv, us, raw, timeRatio, 0.8, false,
			"nats.go makes a map of each message's nine headers before anyone sees it: 24 % of the CPU in a profile, where decoding the event is 8 %, and what " +
				"makes raw slower too (see the row *" + rawHeaders + "*). The rest is what raw does not do: an event passes from nats.go's goroutine to a " +
				"worker, and its ID is remembered. With larger events that is outweighed. Needed: headers that nats.go decodes when they are asked for",
		},
		goal{
			"JetStream listener", jsRecv, us, raw, allocsMore, 0, false,
			"15 are nats.go's for the headers (see the row *" + rawHeaders + "*): without those it is 8 fewer than raw. Needed: the same",
		},
		goal{
			"watermill-nats v1, publish", stan120, us, millName, timeRatio, 0.9, false,
			"a publish that waits is the server's round trip, here and there, but for some microseconds",
		},
		goal{"watermill-nats v1, receive", recv120, us, millName, faster, 9, true, whyListener},
		goal{"watermill-nats v1, receive", recv120, us, millName, allocsRatio, 1.0 / 15, false, ""},
	)
}
