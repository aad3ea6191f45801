package listener

import (
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// work is one event that was delivered and not done with yet.
type work struct {
	id       identity
	delivery transport.Delivery // the latest one of it; changes while it is active
	received time.Time          // when that came
	event    any                // decoded, where the ordering key needs it; else nil
	key      string
	keyed    bool
	attempt  int  // set when it runs
	again    bool // it was delivered once more since it began to run
	settled  bool
}

func newWork(d transport.Delivery, received time.Time) *work {
	return &work{id: identity{d.Sequence, d.Timestamp.UnixNano()}, delivery: d, received: received}
}

// identity tells stored events apart. The sequence alone does not: a server that
// lost its store begins again at 1.
type identity struct {
	sequence uint64
	stored   int64
}

// lateMargin: an event counts as late when less than a 20th of its ack wait is
// left. The server's clock for it began before it arrived, and a handler that
// begins this late would hardly finish in time.
const lateMargin = 20

// book decides which events run when. It is a state machine: it starts nothing,
// waits for nothing and takes the time as an argument. It is not safe for
// concurrent use.
type book struct {
	concurrency int
	ackWait     time.Duration

	active   map[identity]*work // all that is ready, waiting, running or not settled yet
	ready    []*work            // may run, in order
	waiting  map[string][]*work // behind one of the same key; an entry for each key that is ready, running or not settled
	running  map[*work]struct{}
	attempts attempts
	done     done
	draining bool
}

func newBook(concurrency, maxInFlight int, ackWait time.Duration) *book {
	return &book{
		concurrency: concurrency,
		ackWait:     ackWait,
		done:        newDone(maxInFlight),
		active:      make(map[identity]*work),
		waiting:     make(map[string][]*work),
		running:     make(map[*work]struct{}),
	}
}

// arrive takes a delivery in. One that is here already, waiting, running or not
// settled, is not taken a second time; it counts from now, and is acknowledged
// through the later delivery. One that was acknowledged is to be acknowledged
// again: the server did not get to know in time.
func (b *book) arrive(w *work) (acknowledgeAgain bool) {
	if b.done.has(w.id) {
		return true
	}
	if b.draining {
		return false // it comes again, to another member or to the next Listen
	}
	if here, ok := b.active[w.id]; ok {
		here.delivery, here.received = w.delivery, w.received
		here.again = here.attempt > 0
		return false
	}
	b.active[w.id] = w
	if w.keyed {
		if behind, busy := b.waiting[w.key]; busy {
			b.waiting[w.key] = append(behind, w)
			return false
		}
		b.waiting[w.key] = nil
	}
	b.ready = append(b.ready, w)
	return false
}

// next returns the next event to run, and marks it running; nil if there is none
// or as many run as may. Those whose ack wait has passed or is about to, so that
// another member has them by now or soon, are returned as late, and dropped.
func (b *book) next(now time.Time) (run *work, late []*work) {
	for len(b.running) < b.concurrency && len(b.ready) > 0 {
		w := b.ready[0]
		b.ready[0] = nil
		b.ready = b.ready[1:]
		if now.Sub(w.received) >= b.ackWait-b.ackWait/lateMargin {
			late = append(late, w)
			delete(b.active, w.id)
			b.yieldKey(w)
			continue
		}
		b.running[w] = struct{}{}
		w.attempt = max(b.attempts.begin(w.id), w.delivery.Deliveries)
		return w, late
	}
	return nil, late
}

// returned says that the handler is done with an event: the next may run.
func (b *book) returned(w *work) {
	delete(b.running, w)
	if w.settled {
		b.yieldKey(w)
	}
}

// settled takes an event out that has run. With ManualAck that is before or after
// its handler has returned; the next of its key waits for both. acknowledged: it
// must not run again. Otherwise, when it was delivered once more meanwhile, that is
// its next attempt, now: the server sends it no sooner than that delivery's ack
// wait has passed.
func (b *book) settled(w *work, acknowledged bool) {
	w.settled = true
	if b.active[w.id] == w {
		delete(b.active, w.id)
	}
	switch {
	case acknowledged:
		b.attempts.forget(w.id)
		b.done.add(w.id)
	case w.again && !b.draining:
		b.runAgain(w)
	}
	if _, runs := b.running[w]; !runs {
		b.yieldKey(w)
	}
}

// runAgain takes the latest delivery of an event in as new work, the first of its
// key.
func (b *book) runAgain(w *work) {
	next := newWork(w.delivery, w.received)
	next.key, next.keyed = w.key, w.keyed
	b.active[next.id] = next
	if next.keyed {
		b.waiting[next.key] = slices.Insert(b.waiting[next.key], 0, next) // behind w itself
	} else {
		b.ready = append(b.ready, next)
	}
}

// yieldKey makes the next event of the key ready.
func (b *book) yieldKey(w *work) {
	if !w.keyed {
		return
	}
	behind := b.waiting[w.key]
	if len(behind) == 0 {
		delete(b.waiting, w.key)
		return
	}
	b.ready = append(b.ready, behind[0])
	b.waiting[w.key] = behind[1:]
}

// interrupt drops what does not run yet, which it returns: it comes again.
func (b *book) interrupt() (dropped []*work) {
	dropped = b.ready
	b.ready = nil
	for _, w := range dropped {
		if w.keyed {
			dropped = append(dropped, b.waiting[w.key]...)
			delete(b.waiting, w.key)
		}
	}
	for key, behind := range b.waiting { // behind one that runs
		dropped = append(dropped, behind...)
		b.waiting[key] = nil
	}
	for _, w := range dropped {
		delete(b.active, w.id)
	}
	return dropped
}

// drain drops what does not run yet, which it returns, and takes nothing more in.
func (b *book) drain() (dropped []*work) {
	b.draining = true
	dropped = b.ready
	for _, behind := range b.waiting {
		dropped = append(dropped, behind...)
	}
	b.ready = nil
	clear(b.waiting)
	return dropped
}
