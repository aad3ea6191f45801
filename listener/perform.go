package listener

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

// unlock releases the run's lock, and does what the book has decided under it.
func (r *run) unlock() {
	if todo := r.decided(); todo != nil {
		r.perform(todo)
	}
}

// unlockAside is unlock where nothing may be waited for.
func (r *run) unlockAside() {
	if todo := r.decided(); todo != nil {
		go r.perform(todo)
	}
}

// decided releases the lock, and returns what is to be done.
func (r *run) decided() []effect {
	todo := r.book.todo
	r.book.todo = nil
	if len(todo) > 0 {
		r.chores++
	}
	r.resting.Store(int64(r.book.resting))
	r.hire()
	if !r.over {
		r.keep()
		r.setAlarm()
		r.checkStuck()
	}
	r.signal()
	r.mu.Unlock()
	return todo
}

// restingCount is how many events are here that no handler could begin.
type restingCount struct{ atomic.Int64 }

func (r *run) perform(todo []effect) {
	for _, e := range todo {
		r.performOne(e)
	}
	r.mu.Lock()
	r.chores--
	r.unlock()
}

func (r *run) performOne(e effect) {
	switch e.do {
	case ackAgain:
		_ = r.ack(e.work)
	case giveBack:
		if err := e.delivery.Settler.Nak(e.delay); err != nil && !errors.Is(err, ErrSubscriptionClosed) {
			r.log.Warn("event not given back: it comes again when its ack wait has passed", e.attributes(slog.Any("error", err))...)
		}
		r.tellRetry(e)
	case letGo:
		r.tellRetry(e)
		e.delivery.Settler.Release()
	case holdBack:
		r.tellRetry(e)
		conclude(e.delivery.Settler)
		return // it is here, and may run by now
	case dropLate:
		r.log.Warn("event dropped unrun: its ack wait passed before a handler was free, so it comes again; "+
			"lower MaxInFlight, or raise Concurrency or AckWait",
			slog.Uint64("sequence", e.work.id.sequence), slog.Duration("ack_wait", r.core.options.ackWait))
		observe(e.delivery.Settler, errLate)
		e.delivery.Settler.Release()
	case drop:
		e.delivery.Settler.Release()
	case bury:
		r.startBurial(e)
		return
	}
	if e.work.event != nil {
		r.core.typed.release(e.work.event)
		e.work.event = nil
	}
	conclude(e.delivery.Settler)
}

// tellRetry says that an attempt failed, and when the next one is.
func (r *run) tellRetry(e effect) {
	if e.err == nil {
		return
	}
	again := "here"
	switch e.do { //nolint:exhaustive // of the others nobody tells
	case giveBack:
		again = "by whichever member gets it"
	case letGo:
		again = "when its ack wait has passed, by whichever member gets it"
	}
	r.log.Warn("handler failed: the event is tried again",
		e.attributes(slog.Any("error", e.err), slog.Duration("after", e.delay), slog.String("again", again), r.payload(e.delivery))...)
	observe(e.delivery.Settler, e.err)
	if o, ok := e.delivery.Settler.(session.Observer); ok {
		o.Retried(e.delay)
	}
}

func (e *effect) attributes(more ...any) []any {
	return append([]any{slog.Uint64("sequence", e.work.id.sequence), slog.Int("attempt", e.attempt)}, more...)
}

// observe tells who observes a delivery why it was not handled.
func observe(s transport.Settler, err error) {
	if o, ok := s.(session.Observer); ok {
		o.Failed(err)
	}
}

// conclude tells who observes a delivery that the listener is done with it.
func conclude(s transport.Settler) {
	if o, ok := s.(session.Observer); ok {
		o.Concluded()
	}
}

// alarm wakes the book.
type alarm struct {
	timer *time.Timer
	rings time.Time // zero: it does not
}

// setAlarm makes sure that the book is woken in time. It is called with r.mu held.
func (r *run) setAlarm() {
	due := r.book.due()
	if due.IsZero() || !r.alarm.rings.IsZero() && !due.Before(r.alarm.rings) {
		return
	}
	r.alarm.rings = due
	if r.alarm.timer == nil {
		r.alarm.timer = time.AfterFunc(time.Until(due), r.wake)
		return
	}
	r.alarm.timer.Reset(time.Until(due))
}

func (r *run) wake() {
	r.mu.Lock()
	r.alarm.rings = time.Time{}
	if !r.over {
		r.book.wake(time.Now())
	}
	r.unlock()
}

// stopTimers is called with r.mu held, at the end of the drain.
func (r *run) stopTimers() {
	for _, t := range []*time.Timer{r.keeper, r.alarm.timer, r.watch.timer} {
		if t != nil {
			t.Stop()
		}
	}
}

// payload is what the log tells of the payload: nothing, unless it was asked for.
func (r *run) payload(d transport.Delivery) slog.Attr {
	n := min(len(d.Data), r.core.session.LoggedPayload)
	if n == 0 {
		return slog.Attr{}
	}
	return slog.String("payload", string(d.Data[:n]))
}
