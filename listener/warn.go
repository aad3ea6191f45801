package listener

import (
	"log/slog"
	"time"

	"github.com/sgtickets/common/listener/internal/schedule"
)

// watch looks after handlers that take long.
type watch struct {
	timer   *time.Timer
	looks   time.Time // zero: it does not
	crowded bool      // it was said that more events wait than can begin in time
}

// watchOver makes sure that a task that begins to run is looked after. It is called with
// r.mu held.
func (r *runner) watchOver(t *schedule.Task) {
	if at, of := r.scheduler.NextWarning(t); of != 0 {
		r.lookAt(at)
	}
	r.lookAt(t.Begun.Add(r.scheduler.StallTimeout()))
}

func (r *runner) lookAt(at time.Time) {
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

// look warns of handlers that run too long, and looks again in time.
func (r *runner) look() {
	r.mu.Lock()
	defer r.unlock()
	r.watch.looks = time.Time{}
	if r.ended {
		return
	}
	now := time.Now()
	due, next := r.scheduler.Warnings(now)
	for _, w := range due {
		r.warn(w, now)
	}
	if !next.IsZero() {
		r.lookAt(next)
	}
	r.warnOfCrowd()
	r.checkHung(now)
}

// warn is called with r.mu held. The line is written without it, on a goroutine of its own: to
// name the entity the event is decoded, which may hang as long as the handler.
func (r *runner) warn(w schedule.Warning, now time.Time) {
	d, attempt := w.Task.Delivery, w.Task.Attempt
	running, waited, ackWait := now.Sub(w.Task.Begun), w.Task.Begun.Sub(w.Task.Received), r.scheduler.AckWait()
	go func() {
		about := r.core.about(&d, attempt, slog.Duration("running", running))
		if w.Kind == schedule.TimeoutIgnored {
			r.log.Warn("handler goes on after its HandlerTimeout and can't be ended: it has to heed its context",
				append(about, slog.Duration("handler_timeout", r.core.options.timeout))...)
			return
		}
		r.log.Warn("handler has used 80 % of the ack wait: once that has passed the event goes to another member, too, if there is one; "+
			"raise AckWait, or set a HandlerTimeout below it",
			append(about, slog.Duration("waited", waited), slog.Duration("ack_wait", ackWait))...)
	}()
}

// warnOfCrowd says, once, that at the handlers' pace of late the events that wait can't
// all begin within the ack wait.
func (r *runner) warnOfCrowd() {
	took := time.Duration(r.pace.average.Load())
	if r.watch.crowded || !r.scheduler.Crowded(took) {
		return
	}
	r.watch.crowded = true
	r.log.Warn("more events wait here than can begin within the ack wait, so that some are sent again before; lower MaxInFlight, or raise Concurrency or AckWait",
		slog.Int("waiting", r.scheduler.Ready()), slog.Duration("handler_takes", took),
		slog.Int("max_in_flight", r.core.options.maxInFlight), slog.Duration("ack_wait", r.scheduler.AckWait()))
}

// warnOfSettings says what the options make of the ack wait that the server applies.
func (r *runner) warnOfSettings() {
	rules, ackWait, first := r.scheduler.Rules(), r.scheduler.AckWait(), r.core.options.backoff.First
	switch {
	case rules.CanExtend:
	case rules.HandlerTimeout >= ackWait:
		r.log.Warn("the server knows the durable with an ack wait that is not longer than HandlerTimeout: "+
			"events come again while their handlers run; delete the durable, or lower HandlerTimeout",
			slog.Duration("ack_wait", ackWait), slog.Duration("handler_timeout", rules.HandlerTimeout))
	case rules.MaxAttempts > 1 && !r.scheduler.FirstRetryFits(first):
		r.log.Warn("no attempt after the first fits into the ack wait: each waits for the server to send the event again; raise AckWait, or lower HandlerTimeout or Backoff",
			slog.Duration("ack_wait", ackWait), slog.Duration("handler_timeout", rules.HandlerTimeout), slog.Duration("first_backoff", first))
	}
}
