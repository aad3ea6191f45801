package listener

import (
	"log/slog"
	"time"
)

// warnings are those that were given of one attempt.
type warnings uint8

const (
	warnedAckWait warnings = 1 << iota
	warnedTimeout
)

// warnAt is how much of the ack wait, in per cent, a handler may take without a
// warning.
const warnAt = 80

// deaf is how long a handler may go on after its HandlerTimeout before it counts
// as one that does not heed its context. It can't be ended then.
const deaf = time.Second

// watch looks after handlers that take long.
type watch struct {
	timer   *time.Timer
	looks   time.Time // zero: it does not
	crowded bool      // it was said that more wait than can begin in time
}

// worry returns when to warn of a running event, and of what.
func (b *book) worry(w *work) (at time.Time, of warnings) {
	if !b.keeps && w.warned&warnedAckWait == 0 {
		at, of = w.received.Add(b.ackWait/100*warnAt), warnedAckWait
	}
	if b.timeout > 0 && w.warned&warnedTimeout == 0 {
		if late := w.begun.Add(b.timeout).Add(deaf); of == 0 || late.Before(at) {
			at, of = late, warnedTimeout
		}
	}
	return at, of
}

// watchOver makes sure that an event that begins to run is looked after. It is
// called with r.mu held.
func (r *run) watchOver(w *work) {
	if at, of := r.book.worry(w); of != 0 {
		r.lookAt(at)
	}
}

func (r *run) lookAt(at time.Time) {
	if !r.watch.looks.IsZero() && !at.Before(r.watch.looks) {
		return
	}
	r.watch.looks = at
	if r.watch.timer == nil {
		r.watch.timer = time.AfterFunc(time.Until(at), r.look)
		return
	}
	r.watch.timer.Reset(time.Until(at))
}

// look warns of what runs too long, and looks again in time.
func (r *run) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch.looks = time.Time{}
	if r.over {
		return
	}
	now := time.Now()
	for _, w := range r.book.running {
		at, of := r.book.worry(w)
		if of != 0 && !at.After(now) {
			w.warned |= of
			r.warn(w, of, now)
			at, of = r.book.worry(w)
		}
		if of != 0 {
			r.lookAt(at)
		}
	}
	r.warnOfCrowd()
}

func (r *run) warn(w *work, of warnings, now time.Time) {
	about := []any{slog.Uint64("sequence", w.id.sequence), slog.Int("attempt", w.attempt), slog.Duration("running", now.Sub(w.begun))}
	if of == warnedTimeout {
		r.log.Warn("handler goes on after its HandlerTimeout and can't be ended: it has to heed its context",
			append(about, slog.Duration("handler_timeout", r.book.timeout))...)
		return
	}
	r.log.Warn("handler has used 80 % of the ack wait: once that has passed the event goes to another member, too, if there is one; "+
		"raise AckWait, or set a HandlerTimeout below it",
		append(about, slog.Duration("waited", w.begun.Sub(w.received)), slog.Duration("ack_wait", r.book.ackWait))...)
}

// warnOfCrowd says, once, that at the handlers' pace of late what waits can't all
// begin within the ack wait.
func (r *run) warnOfCrowd() {
	b := r.book
	took := time.Duration(r.pace.average.Load())
	rounds := (b.ready.Len() + b.concurrency - 1) / b.concurrency
	if b.keeps || r.watch.crowded || took*time.Duration(rounds) <= b.ackWait {
		return
	}
	r.watch.crowded = true
	r.log.Warn("more events wait here than can begin within the ack wait, so that some are sent again before; lower MaxInFlight, or raise Concurrency or AckWait",
		slog.Int("waiting", b.ready.Len()), slog.Duration("handler_takes", took), slog.Int("max_in_flight", b.maxInFlight), slog.Duration("ack_wait", b.ackWait))
}

// warnOfSettings says what the options make of the ack wait that the server applies.
func (r *run) warnOfSettings() {
	b, first := r.book, r.core.options.backoff.First
	switch {
	case b.keeps:
	case b.timeout >= b.ackWait:
		r.log.Warn("the server knows the durable with an ack wait that is not longer than HandlerTimeout: "+
			"events come again while their handlers run; delete the durable, or lower HandlerTimeout",
			slog.Duration("ack_wait", b.ackWait), slog.Duration("handler_timeout", b.timeout))
	case b.attempts > 1 && first+b.timeout+b.ackWait/fitMargin > b.ackWait:
		r.log.Warn("no attempt after the first fits into the ack wait: each waits for the server to send the event again; raise AckWait, or lower HandlerTimeout or Backoff",
			slog.Duration("ack_wait", b.ackWait), slog.Duration("handler_timeout", b.timeout), slog.Duration("first_backoff", first))
	}
}
