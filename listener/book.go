package listener

import (
	"slices"
	"time"

	"github.com/sgtickets/common/internal/fifo"
	"github.com/sgtickets/common/transport"
)

// lateMargin: an event counts as late when less than a 20th of its ack wait is
// left. The server's clock for it began before it arrived, and a handler that
// begins this late would hardly finish in time.
const lateMargin = 20

// fitMargin: a tenth of the ack wait is left when an event that was held is tried
// again, so that it is not late by then.
const fitMargin = 10

// How many ack waits a key is held up for an event of it that is to come again: in
// a group another member may get it. Without one nobody else can, but the server
// may have dropped it, at a limit of its own.
const (
	absenceInGroup = 2
	absenceAlone   = 12
)

// rules are what a book goes by. They do not change.
type rules struct {
	concurrency int
	maxInFlight int
	timeout     time.Duration // of a handler; 0: none
	attempts    int           // so many, then it is given up
	backoff     func(attempt int) time.Duration
	longest     func(attempt int) time.Duration // what backoff may draw at most
	burial      func(attempt int) time.Duration // to store a dead letter
	keeps       bool                            // the broker lets the ack wait of an event begin anew
	gives       bool                            // the broker takes an event back, for a while
	alone       bool                            // no queue group: what is not acknowledged comes again here
	letters     bool                            // what is given up becomes a dead letter
}

// book decides which events run when, and what becomes of them. It is a state
// machine: what happens is told by its methods, with the time; what has to be done
// about it is next, what to run, and todo. It starts nothing and waits for nothing.
// It is not safe for concurrent use.
type book struct {
	rules
	ackWait time.Duration
	todo    []effect

	active   map[identity]*work // all that is here; what is gone too, where a key waits for it
	ready    fifo.Queue[*work]  // may run, in order
	running  []*work
	resting  int // wait for something other than a handler: their key, their time, their dead letter
	lines    lines
	asleep   queue
	gone     queue
	pasts    pasts
	done     done
	stuck    stuck
	draining bool
}

// effect is something to be done, other than to run a handler.
type effect struct {
	do       action
	work     *work
	delivery transport.Delivery // the latest of the work
	delay    time.Duration      // until the next attempt
	err      error              // why the last one failed; nil: none did
	attempt  int                // the last one
}

type action uint8

const (
	ackAgain action = iota // it was acknowledged, and came again: the server did not get to know in time
	giveBack               // it is to come again after the delay
	holdBack               // nothing is to be done: it is tried again here after the delay
	letGo                  // nothing can be done: it comes again when its ack wait has passed
	dropLate               // the same of one that no handler saw, since its ack wait has passed or soon will
	drop                   // the same of one that no handler saw, for other reasons
	bury                   // its dead letter is to be stored; then say buried
)

func newBook(r rules, ackWait time.Duration) *book {
	return &book{
		rules: r, ackWait: ackWait,
		done:   newDone(r.maxInFlight),
		active: make(map[identity]*work),
	}
}

func (b *book) must(do action, w *work, delay time.Duration, err error) {
	b.todo = append(b.todo, effect{do: do, work: w, delivery: w.delivery, delay: delay, attempt: w.attempt, err: err})
}

// set notes where an event stands.
func (b *book) set(w *work, s state) {
	if rests(w.state) {
		b.resting--
	}
	if rests(s) {
		b.resting++
	}
	w.state = s
}

func rests(s state) bool { return s == waiting || s == asleep || s == dying }

// arrive takes a delivery in. One that is here already is not taken a second time:
// its ack wait counts from now, and it is settled through the later delivery.
func (b *book) arrive(w *work, now time.Time) {
	here := b.active[w.id]
	switch {
	case b.done.has(w.id):
		b.must(ackAgain, w, 0, nil)
	case b.draining:
		b.must(drop, w, 0, nil) // it comes again, to another member or to the next Listen
	case here != nil && here.state != gone:
		if here.unrun() {
			b.skipped(w.id)
		}
		here.delivery, here.received = w.delivery, w.received
		here.again = here.attempt > 0
	default:
		if here != nil {
			b.gone.remove(here)
			b.set(here, over)
		}
		b.take(w, now)
		if here != nil && here.keyed && !w.keyed { // it can't be read any more: nobody takes its old place
			b.unqueue(here, now)
		}
	}
}

// take gives an event its place.
func (b *book) take(w *work, now time.Time) {
	b.active[w.id] = w
	before := b.pasts.of(w.id)
	if before.sentence != nil {
		w.sentence = before.sentence
	}
	w.due = before.due
	if w.keyed && before.aside && w.due.After(now) {
		w.keyed, w.aside = false, true
	}
	if !w.keyed {
		b.proceed(w, now)
		return
	}
	b.lineUp(w, now)
}

// lineUp puts an event in its line.
func (b *book) lineUp(w *work, now time.Time) {
	b.set(w, waiting)
	l := b.lines.join(w)
	b.stepBack(l)
	b.advance(l, now)
}

// stepBack takes its turn from an event that does not run, when an earlier one of
// its key has come from another member.
func (b *book) stepBack(l *line) {
	w := l.busy
	if w == nil || w == l.queue[0] || l.queue[0].patient || w.sentence != nil {
		return
	}
	switch w.state {
	case ready:
		b.unready(w)
	case asleep:
		b.asleep.remove(w)
	default:
		return
	}
	b.set(w, waiting)
	l.busy = nil
}

// advance lets the next of a line proceed, unless one of it does or the first is
// gone.
func (b *book) advance(l *line, now time.Time) {
	if b.draining || l.busy != nil || len(l.queue) == 0 || l.queue[0].state == gone {
		return
	}
	l.busy = l.queue[0]
	b.proceed(l.busy, now)
}

// proceed does the next with an event that waits for no other.
func (b *book) proceed(w *work, now time.Time) {
	switch {
	case w.sentence != nil:
		b.condemned(w)
	case w.failed != nil: // it can't be read
		b.giveUp(w, *w.failed, now)
	case w.due.After(now):
		b.later(w, w.due, now, nil)
	default:
		b.set(w, ready)
		b.ready.Push(w)
	}
}

// next returns the next event to run, and marks it running; nil if there is none
// or as many run as may. Those whose ack wait has passed or is about to, so that
// another member has them by now or soon, are dropped.
func (b *book) next(now time.Time) *work {
	for len(b.running) < b.concurrency && b.ready.Len() > 0 {
		w := b.ready.Pop()
		switch twin := b.twin(w); {
		case now.Sub(w.received) >= b.ackWait-b.ackWait/lateMargin:
			b.must(dropLate, w, 0, nil)
			b.release(w, now)
		case b.done.named(w.name):
			b.must(ackAgain, w, 0, nil)
			b.remember(w, name{})
			b.remove(w, now)
		case twin != nil:
			b.set(w, waiting)
			twin.twins = append(twin.twins, w)
		default:
			b.begin(w, now)
			return w
		}
	}
	return nil
}

// twin returns the event of the same name that runs.
func (b *book) twin(w *work) *work {
	if w.name == (name{}) {
		return nil
	}
	for _, other := range b.running {
		if other.name == w.name {
			return other
		}
	}
	return nil
}

// begin counts an attempt: the larger of those here and those that the server
// counted, without what it delivered and nobody here ran.
func (b *book) begin(w *work, now time.Time) {
	before := b.pasts.of(w.id)
	w.attempt = max(before.attempt, w.attempt) + 1
	w.attempt = max(w.attempt, w.delivery.Deliveries-before.unrun)
	w.begun, w.again, w.warned = now, false, 0
	b.set(w, running)
	w.place = len(b.running)
	b.running = append(b.running, w)
}

// returned says that the handler is done with an event: the next may run. With
// ManualAck that is before or after it is settled; the next of its key waits for
// both.
func (b *book) returned(w *work, now time.Time) {
	last := b.running[len(b.running)-1]
	b.running[w.place], last.place = last, w.place
	b.running = slices.Delete(b.running, len(b.running)-1, len(b.running))
	b.set(w, open)
	twins := w.twins
	w.twins = nil
	for _, t := range twins {
		if t.state == waiting {
			b.proceed(t, now)
		}
	}
	switch f := w.failed; {
	case w.settled:
		b.remove(w, now)
	case f != nil:
		w.failed = nil
		b.fail(w, *f, now)
	}
}

// handled says that an event was acknowledged: it must not run again.
func (b *book) handled(w *work, now time.Time) {
	w.settled = true
	b.remember(w, w.name)
	switch {
	case w.state == over:
	case w.state != running:
		b.remove(w, now)
	case b.active[w.id] == w:
		delete(b.active, w.id) // there is nothing to be kept
	}
}

// handledLate says that an event was acknowledged after it had been given up. An
// attempt that waits is not made any more; one that runs can't be called back.
func (b *book) handledLate(w *work, now time.Time) {
	if here := b.active[w.id]; here != nil {
		if here.state == waiting || here.state == ready || here.state == asleep {
			b.must(drop, here, 0, nil)
		}
		if here.state != dying {
			b.handled(here, now)
		}
		return
	}
	b.remember(w, w.name)
}

// remember keeps an event that was acknowledged from running again, and forgets
// its past.
func (b *book) remember(w *work, n name) {
	b.pasts.forget(w.id)
	b.stuck.remove(w.id)
	b.done.add(w.id, n)
}

// fail says that an attempt came to nothing, or that there can be none, and decides
// what is done about it. While the handler still runs that has to wait.
func (b *book) fail(w *work, f failure, now time.Time) {
	if f.aside && w.state != running {
		b.stepAside(w, now)
	}
	switch {
	case w.settled, w.state == over: // acknowledged, or given up, meanwhile
	case w.state == running:
		w.failed = &f
	case f.reason != "", w.attempt >= b.attempts:
		b.giveUp(w, f, now)
	default:
		delay := f.after
		switch {
		case f.timed:
		case w.observed: // by a test, which is to see the same each time
			delay = b.longest(w.attempt)
		default:
			delay = b.backoff(w.attempt)
		}
		before := b.pasts.of(w.id)
		before.attempt, before.due, before.aside = w.attempt, time.Time{}, f.aside
		if f.timed {
			before.due = now.Add(delay)
		}
		b.pasts.set(w.id, before)
		b.later(w, now.Add(delay), now, f.err)
		if w.state != asleep && !b.gives { // it keeps its place at the server until it comes again
			b.stuck.add(w.id, now.Add(absenceInGroup*b.ackWait), 2*b.maxInFlight)
		}
	}
}

// stepAside takes an event out of its line that waits for one that may be behind it
// there.
func (b *book) stepAside(w *work, now time.Time) {
	if !w.keyed {
		return
	}
	b.unqueue(w, now)
	w.keyed, w.aside = false, true
}

// later puts an event off until it is due, because of err: here, if it can be held as
// long as that; else it comes again.
func (b *book) later(w *work, due, now time.Time, err error) {
	delay := due.Sub(now)
	heldForever := b.keeps && (w.keyed || !b.gives || w.sentence != nil)
	switch {
	case w.observed, b.draining && !b.gives:
		b.must(letGo, w, delay, err)
		b.release(w, now)
	case heldForever && !b.draining, !b.gives && b.fits(w, due):
		b.must(holdBack, w, delay, err)
		w.due = due
		b.set(w, asleep)
		b.asleep.add(w)
		if l := b.lines.byKey[w.key]; w.keyed && l.busy == w {
			b.stepBack(l)
			b.advance(l, now)
		}
	case b.gives:
		b.must(giveBack, w, delay, err)
		b.release(w, now)
	default:
		b.must(letGo, w, delay, err)
		b.release(w, now)
	}
}

// fits tells whether an event that is tried again when due, for as long as its
// handler may take, is done with within its ack wait.
func (b *book) fits(w *work, due time.Time) bool {
	return !due.Add(b.timeout + b.ackWait/fitMargin).After(w.received.Add(b.ackWait))
}

// release lets an event go that comes again. Its key waits for it.
func (b *book) release(w *work, now time.Time) {
	if w.unrun() {
		b.skipped(w.id)
	}
	if !w.keyed || b.draining || b.active[w.id] != w {
		b.remove(w, now)
		return
	}
	b.set(w, gone)
	w.due = now.Add(b.absence())
	b.gone.add(w)
	l := b.lines.byKey[w.key]
	if l.busy == w {
		l.busy = nil
	}
	b.advance(l, now)
}

func (b *book) absence() time.Duration {
	if b.alone {
		return absenceAlone * b.ackWait
	}
	return absenceInGroup * b.ackWait
}

// skipped counts a delivery that no handler saw.
func (b *book) skipped(id identity) {
	before := b.pasts.of(id)
	before.unrun++
	b.pasts.set(id, before)
}

// remove takes an event out of the book, and lets the next of its key proceed.
func (b *book) remove(w *work, now time.Time) {
	switch w.state {
	case ready:
		b.unready(w)
	case asleep:
		b.asleep.remove(w)
	case gone:
		b.gone.remove(w)
	default:
	}
	b.set(w, over)
	if b.active[w.id] == w {
		delete(b.active, w.id)
	}
	if w.keyed {
		b.unqueue(w, now)
	}
}

// unqueue takes an event out of its line, and lets the next of it proceed.
func (b *book) unqueue(w *work, now time.Time) {
	l := b.lines.byKey[w.key]
	b.lines.leave(w)
	if l != nil {
		b.advance(l, now)
	}
}

// unready takes an event out of those that may run.
func (b *book) unready(w *work) {
	b.ready.Change(func(all []*work) []*work {
		return slices.DeleteFunc(all, func(other *work) bool { return other == w })
	})
}

// wake goes on with what is due.
func (b *book) wake(now time.Time) {
	for len(b.asleep.works) > 0 && !b.asleep.works[0].due.After(now) {
		w := b.asleep.works[0]
		b.asleep.remove(w)
		if w.aside {
			w.keyed, w.aside, w.patient = true, false, true
			b.lineUp(w, now)
			continue
		}
		b.proceed(w, now)
	}
	for len(b.gone.works) > 0 && !b.gone.works[0].due.After(now) {
		b.remove(b.gone.works[0], now) // another member has it
	}
}

// due returns when to call wake; zero: there is nothing to wait for.
func (b *book) due() time.Time {
	var due time.Time
	for _, q := range []*queue{&b.asleep, &b.gone} {
		if len(q.works) > 0 && (due.IsZero() || q.works[0].due.Before(due)) {
			due = q.works[0].due
		}
	}
	return due
}

// interrupt drops what does not run: the connection was lost, and it comes again.
func (b *book) interrupt(now time.Time) {
	b.dropIdle(now)
}

// drain drops what does not run, gives it back where that can be done, and takes
// nothing more in.
func (b *book) drain(now time.Time) {
	b.draining = true
	b.dropIdle(now)
}

// dropIdle drops what is here and neither runs, nor is to be settled, nor is on its
// way to the dead letters.
func (b *book) dropIdle(now time.Time) {
	var idle []*work
	for _, w := range b.active {
		if w.state == waiting || w.state == ready || w.state == asleep {
			idle = append(idle, w)
		}
	}
	sortByID(idle)
	b.ready = fifo.Queue[*work]{}
	b.asleep = queue{}
	for _, w := range idle {
		b.set(w, arriving)
	}
	for _, w := range b.running {
		w.twins = nil
	}
	for _, w := range idle {
		if b.draining && b.gives {
			b.must(giveBack, w, 0, nil) // another member may begin it now
		} else {
			b.must(drop, w, 0, nil)
		}
		b.release(w, now)
	}
}
