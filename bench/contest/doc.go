// Command contest measures what sending and receiving an event costs: with this
// library, with the raw clients as a competent user writes them, with
// encoding/json, and with watermill, over NATS Streaming and JetStream.
//
//	make bench        # some minutes; writes bench/RESULTS.md and bench/results.svg
//	make bench-quick  # under two minutes; prints
//
// The server runs in a process of its own, a new one for each workload, so that
// CPU and allocations are the client's alone. Contestants take turns in short
// rounds; what is told are medians, and ratios of medians. One contestant runs
// under two names: how far the second is from the first is noise, and others are
// compared to the rounds of both. With -profile a CPU profile of each round is kept.
//
// A workload (workload.go and the files named after what they measure) is a row of entrants; an
// entrant runs rounds, and a meter measures them. Contestants are the ways to
// write a client (contestant.go; ours.go, rawstan.go, rawjetstream.go,
// watermill.go). goals.go is what is to be reached, report.go and plot.go show it.
package main
