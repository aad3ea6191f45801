package main

import (
	"fmt"
	"math"
	"runtime"
	"time"
)

// Names of entrants, as the goals have them.
const (
	raw        = "raw"
	rawAgain   = "raw once more" // the noise
	rawHeaders = "raw, with the headers of ours"
	us         = "ours"
	usAsync    = "ours, PublishAsync"
	usPlain    = "ours, encoding/json"
	millName   = "watermill"
)

// transports and who takes part on each.
var transports = []struct {
	name        string
	contestants []contestant
}{
	{"NATS Streaming", []contestant{
		{raw, 1, connectRawStan},
		{rawAgain, 1, connectRawStan},
		{us, 1, connectOursStan},
		{usAsync, 1, connectOursAsync},
		{usPlain, 1, connectOursPlain},
		{millName, 5, connectMillStan},
	}},
	{"JetStream", []contestant{
		{raw, 1, connectRawJetStream},
		{rawAgain, 1, connectRawJetStream},
		{rawHeaders, 1, connectRawHeaders},
		{us, 1, connectOursJetStream},
		{usAsync, 1, connectOursJetStreamAsync},
		{millName, 5, connectMillJetStream},
	}},
}

// throughput is publishing and receiving as fast as possible.
func throughput() []workload {
	all := make([]workload, 0, 3*len(sizes)*len(transports))
	for _, t := range transports {
		for i, size := range sizes {
			all = append(all,
				publishing(fmt.Sprintf("%s: Publish, %s", t.name, size.name), size.bytes, []int{2000, 1800, 1000}[i], t.contestants),
				pipelining(fmt.Sprintf("%s: pipelined, %s", t.name, size.name), size.bytes, []int{30_000, 20_000, 3000}[i], t.contestants),
				receiving(fmt.Sprintf("%s: receive, %s", t.name, size.name), size.bytes, []int{30_000, 20_000, 3000}[i], t.contestants),
			)
		}
	}
	return all
}

// among leaves those out that do nothing of their own in a workload.
func among(all []contestant, without ...string) []contestant {
	var some []contestant
	for _, c := range all {
		keep := true
		for _, name := range without {
			keep = keep && c.name != name
		}
		if keep {
			some = append(some, c)
		}
	}
	return some
}

// each makes an entrant of each contestant, whose round is called with a link and a number of events.
func each(l *lab, contestants []contestant, n int, ready func(link, int) error, round func(*meter, link, int) error) ([]entrant, error) {
	entrants := make([]entrant, 0, len(contestants))
	for _, c := range contestants {
		k, err := l.open(c)
		if err != nil {
			return nil, err
		}
		n := l.events(n / c.slower)
		if err := ready(k, n); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		entrants = append(entrants, entrant{c.name, raw, func(m *meter) error { return round(m, k, n) }})
	}
	return entrants, nil
}

func nothing(link, int) error { return nil }

// publishing waits for each event to be stored.
func publishing(name string, size, n int, contestants []contestant) workload {
	return workload{name: name, prepare: func(l *lab) ([]entrant, error) {
		e := newTickets(size)
		return each(l, among(contestants, usAsync, usPlain), n, nothing, func(m *meter, k link, n int) error {
			m.start()
			defer m.stop(n)
			for i := range n {
				if err := k.publish(l.ctx, e.at(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}}
}

// pipelining waits for all of them to be.
func pipelining(name string, size, n int, contestants []contestant) workload {
	return workload{name: name, prepare: func(l *lab) ([]entrant, error) {
		e := newTickets(size)
		return each(l, among(contestants, usPlain), n, nothing, func(m *meter, k link, n int) error {
			m.start()
			defer m.stop(n)
			return k.pipeline(l.ctx, n, e.at)
		})
	}}
}

// receiving handles what is stored.
func receiving(name string, size, n int, contestants []contestant) workload {
	return workload{name: name, prepare: func(l *lab) ([]entrant, error) {
		e := newTickets(size)
		fill := func(k link, n int) error { return k.pipeline(l.ctx, n, e.at) }
		goroutines := math.MaxInt // when nobody receives
		return each(l, among(contestants, usAsync), n, fill, func(m *meter, k link, n int) error {
			goroutines = settled(goroutines)
			before := inUse()
			return k.receive(l.ctx, reception{n: n, begin: m.start, handle: func(ticket) {}, done: func() {
				m.stop(n)
				m.note(routines, float64(runtime.NumGoroutine()-goroutines))
				m.note(memory, inUse()-before)
			}})
		})
	}}
}

// settled waits until there are no more goroutines than the fewest so far, and returns how
// many there are: those of a connection that was closed end a little later, and would count as the
// next one's. Who keeps some is not waited for long.
func settled(fewest int) int {
	for began := time.Now(); runtime.NumGoroutine() > fewest && time.Since(began) < 100*time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
	return min(fewest, runtime.NumGoroutine())
}
