package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

// Names of the workloads that are not plain throughput.
const (
	loopMemory = "NATS Streaming: PublishAll and a loop of Publish, memory store"
	loopFile   = "NATS Streaming: PublishAll and a loop of Publish, file store"
	slow       = "NATS Streaming: handler of 1 ms, 16 workers, ordered by key"
	latency    = "NATS Streaming: from Publish to handler, 1,000 events/s"
	fanOut     = "NATS Streaming: 100 subjects and listeners on a client"
	replay     = "NATS Streaming: replay of 1,000,000 events"
	idle       = "NATS Streaming: idle listener"

	loop    = "loop of Publish"
	one     = "1"
	hundred = "100"
	tenK    = "10,000"
	million = "1,000,000"

	rawTenK, rawMillion = "raw, 10,000", "raw, 1,000,000"

	p50      = "p50" // figures beside those of every sample
	p99      = "p99"
	routines = "goroutines"
	memory   = "memory"
)

func special() []workload {
	return []workload{
		looping(loopMemory, false, 500),
		looping(loopFile, true, 50),
		{name: slow, prepare: slowHandlers},
		{name: latency, prepare: latencies},
		{name: fanOut, prepare: fanningOut},
		{name: replay, prepare: replaying, rounds: 3},
		{name: idle, prepare: idling, rounds: 3},
	}
}

// looping holds PublishAll against publishing n events one by one.
func looping(name string, file bool, n int) workload {
	return workload{name: name, file: file, prepare: func(l *lab) ([]entrant, error) {
		k, err := l.open(contestant{name: us, connect: connectOursStan})
		if err != nil {
			return nil, err
		}
		e := newTickets(sizes[0].bytes)
		n := l.events(n)
		const faster = 40
		return []entrant{
			{loop, loop, func(m *meter) error {
				m.start()
				defer m.stop(n)
				for i := range n {
					if err := k.publish(l.ctx, e.at(i)); err != nil {
						return err
					}
				}
				return nil
			}},
			{us, loop, func(m *meter) error {
				m.start()
				defer m.stop(n * faster)
				return k.pipeline(l.ctx, n*faster, e.at)
			}},
		}, nil
	}}
}

// keys is how many keys the events of slowHandlers have.
const keys = 64

// slowHandlers are what takes a listener's time in earnest.
func slowHandlers(l *lab) ([]entrant, error) {
	tickets := newTickets(sizes[0].bytes)
	event := func(i int) ticket {
		e := tickets.at(i)
		e.Version, e.UserID = int64(i), strconv.Itoa(i%keys)
		return e
	}
	const wait = time.Millisecond
	fill := func(c contestant, n int) (link, error) {
		k, err := l.open(c)
		if err != nil {
			return nil, err
		}
		return k, k.pipeline(l.ctx, n, event)
	}
	few, many := l.events(200), l.events(3000)
	one, err := fill(contestant{name: raw, connect: connectRawStan}, few)
	if err != nil {
		return nil, err
	}
	sixteen, err := fill(contestant{name: us, connect: connectOursStan}, many)
	if err != nil {
		return nil, err
	}
	k, _ := sixteen.(*ours)
	return []entrant{
		{raw, raw, func(m *meter) error {
			return one.receive(l.ctx, reception{
				n: few, begin: m.start, handle: func(ticket) { <-time.After(wait) }, done: func() { m.stop(few) },
			})
		}},
		{us, raw, func(m *meter) error {
			var o order
			if err := k.listenOrdered(l.ctx, m, many, func(e ticket) { <-time.After(wait); o.saw(e) }); err != nil {
				return err
			}
			return o.err()
		}},
	}, nil
}

// order checks that the events of each key come in their order.
type order struct {
	mu    sync.Mutex
	last  map[string]int64
	wrong int
}

func (o *order) saw(e ticket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		o.last = make(map[string]int64)
	}
	if last, ok := o.last[e.UserID]; ok && e.Version <= last {
		o.wrong++
	}
	o.last[e.UserID] = e.Version
}

func (o *order) err() error {
	if o.wrong > 0 {
		return fmt.Errorf("%d events came out of order", o.wrong)
	}
	return nil
}

// listenOrdered is receive with 16 workers.
func (l *ours) listenOrdered(ctx context.Context, m *meter, n int, handle func(ticket)) error {
	group := rand.Text()
	got := newReceived(reception{n: n, begin: m.start, handle: func(ticket) {}, done: func() { m.stop(n) }})
	var mu sync.Mutex
	current.Store(&l.subject)
	li, err := listener.New(l.client, group, func(_ context.Context, e ticket, _ listener.Delivery) error {
		handle(e)
		mu.Lock()
		defer mu.Unlock()
		if got.event(e) {
			got.finish()
		}
		return nil
	}, listener.MaxInFlight(inFlight), listener.Concurrency(16), listener.OrderingKey(func(e ticket) string { return e.UserID }))
	if err != nil {
		return err
	}
	return listenUntil(ctx, li, got)
}

// latencies publishes at a steady pace and looks at how long an event is under way.
func latencies(l *lab) ([]entrant, error) {
	round := func(connect func(context.Context, string) (link, error)) func(*meter) error {
		return func(m *meter) error {
			k, err := connect(l.ctx, l.url) // a subject of its own for each round
			if err != nil {
				return err
			}
			defer k.close()
			return measureLatency(l, m, k)
		}
	}
	return []entrant{
		{raw, raw, round(connectRawStan)},
		{rawAgain, raw, round(connectRawStan)},
		{us, raw, round(connectOursStan)},
	}, nil
}

func measureLatency(l *lab, m *meter, k link) error {
	n := max(l.events(1000), 100)
	tickets := newTickets(sizes[0].bytes)
	sent, took := make([]time.Time, n), make([]float64, 0, n)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- k.receive(l.ctx, reception{
			n: n, begin: m.start, ready: func() { close(ready) }, done: func() { m.stop(n) },
			handle: func(e ticket) { took = append(took, float64(time.Since(sent[e.Version]))) },
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		e := tickets.at(i)
		e.Version = int64(i)
		sent[i] = time.Now()
		if err := k.publish(l.ctx, e); err != nil {
			return err
		}
	}
	if err := <-ended; err != nil {
		return err
	}
	slices.Sort(took)
	m.note(p50, took[len(took)/2])
	m.note(p99, took[len(took)*99/100])
	return nil
}

// fanningOut listens to the same number of events, on one subject or on a hundred.
func fanningOut(l *lab) ([]entrant, error) {
	e := newTickets(sizes[0].bytes)
	round := func(listeners, n int) (func(*meter) error, error) {
		first, err := l.open(contestant{name: us, connect: connectOursStan})
		if err != nil {
			return nil, err
		}
		k, _ := first.(*ours)
		all := make([]*ours, listeners)
		for i := range all {
			all[i] = &ours{client: k.client, subject: subjects.Subject(newSubject())}
			if err := all[i].fill(l.ctx, n, e); err != nil {
				return nil, err
			}
		}
		return func(m *meter) error { return listenToAll(l.ctx, m, all, n) }, nil
	}
	n := l.events(300)
	ofOne, err := round(1, n*100)
	if err != nil {
		return nil, err
	}
	ofHundred, err := round(100, n)
	if err != nil {
		return nil, err
	}
	return []entrant{{one, one, ofOne}, {hundred, one, ofHundred}}, nil
}

// listenToAll handles n events of each.
func listenToAll(ctx context.Context, m *meter, all []*ours, n int) error {
	var left atomic.Int64
	left.Store(int64(len(all)))
	listeners := make([]*listener.Listener[ticket], len(all))
	received := make([]*received, len(all))
	m.start()
	for i, k := range all {
		received[i] = newReceived(reception{n: n, begin: func() {}, handle: func(ticket) {}, done: func() {
			if left.Add(-1) == 0 {
				m.stop(n * len(all))
			}
		}})
		li, err := k.newListener(rand.Text(), received[i])
		if err != nil {
			return err
		}
		listeners[i] = li
	}
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { errs[i] = listenUntil(ctx, listeners[i], received[i]) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// replaying is what begins at the beginning of a long channel.
func replaying(l *lab) ([]entrant, error) {
	var entrants []entrant
	for _, channel := range []struct {
		ours, raw string
		n, times  int
	}{
		{tenK, rawTenK, 10_000, 10},
		{million, rawMillion, 1_000_000, 1},
	} {
		e, n := newTickets(sizes[0].bytes), l.events(channel.n)
		for _, c := range []contestant{{name: channel.ours, connect: connectOursStan}, {name: channel.raw, connect: connectRawStan}} {
			k, err := l.open(c)
			if err != nil {
				return nil, err
			}
			if err := k.pipeline(l.ctx, n, e.at); err != nil {
				return nil, err
			}
			entrants = append(entrants, entrant{c.name, tenK, mean(channel.times, func(m *meter) error {
				return k.receive(l.ctx, reception{n: n, begin: m.start, handle: func(ticket) {}, done: func() { m.stop(n) }})
			})})
		}
	}
	return entrants, nil
}

// mean is that of so many rounds that are too short to be held, one by one, against a long
// one: what else the machine does falls into some and not into others.
func mean(times int, round func(*meter) error) func(*meter) error {
	return func(m *meter) error {
		var all sample
		part := func(whole *float64, of float64) { *whole += of / float64(times) }
		for range times {
			if err := round(m); err != nil {
				return err
			}
			part(&all.time, m.taken.time)
			part(&all.cpu, m.taken.cpu)
			part(&all.allocs, m.taken.allocs)
			part(&all.bytes, m.taken.bytes)
		}
		m.taken = all
		return nil
	}
}

// idling is what a listener takes that has nothing to do.
func idling(l *lab) ([]entrant, error) {
	const listeners = 100
	k, err := l.open(contestant{name: us, connect: connectOursStan})
	if err != nil {
		return nil, err
	}
	o, _ := k.(*ours)
	return []entrant{{us, us, func(m *meter) error {
		all := make([]*ours, listeners)
		for i := range all {
			all[i] = &ours{client: o.client, subject: subjects.Subject(newSubject())}
		}
		m.start()
		before, goroutines := inUse(), runtime.NumGoroutine()
		ctx, stop := context.WithCancel(l.ctx)
		defer stop()
		ended := make(chan error, listeners)
		for _, k := range all {
			// Nothing comes.
			li, err := k.newListener(rand.Text(), newReceived(reception{n: math.MaxInt, begin: func() {}}))
			if err != nil {
				return err
			}
			go func() { ended <- li.Listen(ctx) }()
			<-li.Ready()
		}
		m.note(routines, float64(runtime.NumGoroutine()-goroutines)/listeners)
		m.note(memory, (inUse()-before)/listeners)
		m.stop(listeners)
		stop()
		var errs []error
		for range listeners {
			errs = append(errs, <-ended)
		}
		return errors.Join(errs...)
	}}}, nil
}

// inUse is the memory of live objects and of stacks.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // what the first has found to have a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
