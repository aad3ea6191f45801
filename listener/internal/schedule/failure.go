package schedule

import (
	"time"

	"github.com/sgtickets/common/events"
)

// Failure is why an attempt failed, and what the handler asked for.
type Failure struct {
	Err        error
	Reason     events.DeadLetterReason // trying again can't help; empty: it may
	After      time.Duration           // until the next attempt, where Timed says so; else Rules decides
	Timed      bool
	Waits      bool      // the event can't be handled yet, which is no failure and uses no attempt
	OutOfOrder bool      // it waits for an event that comes before it, which may be behind it in the queue of its key
	Missing    int64     // of OutOfOrder: how many versions are missing before it, where that is known
	Behind     time.Time // of OutOfOrder: when it was last seen that the missing event may be on its way; zero: never
}

// Unreadable reports whether the payload kept the handler from running.
func (f *Failure) Unreadable() bool {
	return f.Reason == events.DeadLetterUndecodable || f.Reason == events.DeadLetterInvalid
}

// waits reports whether the run of the handler was no attempt.
func (f *Failure) waits() bool { return f.Waits || f.OutOfOrder }

// fitMargin: when an event that was held is tried again, a tenth of its ack wait has to
// be left beside the handler's timeout, so that it is not late by then.
const fitMargin = 10

// Fail says that an attempt failed, or that there can be none, and decides what is done
// about it. While the handler still runs, the decision waits for it.
func (s *Scheduler) Fail(t *Task, f Failure, now time.Time) {
	s.progressed(now)
	if f.OutOfOrder && t.state != running {
		s.leaveKeyQueue(t, now)
	}
	switch {
	case t.settled, t.state == removed: // acknowledged, or given up, meanwhile
	case t.state == running:
		t.Failed = &f
	case f.Unreadable():
		t.Attempt-- // its handler did not run
		s.giveUp(t, f, now)
	case f.Reason != "", !f.waits() && s.lastAttempt(t):
		s.giveUp(t, f, now)
	case f.OutOfOrder && now.Sub(s.gapSince(t, &f, now)) >= s.rules.VersionGapTimeout:
		f.Reason = events.DeadLetterVersionGap
		t.Attempt-- // to wait was no attempt
		s.giveUp(t, f, now)
	case t.Delivery.Last && s.rules.DeadLetters && (!f.waits() || s.draining):
		if f.waits() {
			t.Attempt--
		}
		f.Reason = events.DeadLetterExhausted
		s.giveUp(t, failedLast(f), now)
	default:
		s.retry(t, &f, now)
	}
}

// retry lets an event be tried again after a while.
func (s *Scheduler) retry(t *Task, f *Failure, now time.Time) {
	history := s.attempts.of(t.Message)
	if f.waits() {
		history.waited++
	} else {
		history.attempt, history.waited = t.Attempt, 0
	}
	history.notBefore, history.outOfOrder, history.gapSince = time.Time{}, f.OutOfOrder, time.Time{}
	if f.OutOfOrder {
		history.gapSince = s.gapSince(t, f, now)
	}
	delay := s.delay(t, f, history.waited)
	if f.Timed || f.OutOfOrder {
		history.notBefore = now.Add(delay)
	}
	s.attempts.set(t.Message, history)
	s.retryAt(t, now.Add(delay), now, Effect{Err: f.Err, Waited: history.waited})
	if f.waits() {
		t.Attempt--
	}
	if t.state != backingOff && !s.rules.CanNak { // it keeps its place at the server until it comes again
		s.noteStuck(t, now)
	}
}

// gapSince returns from when on it counts how long an event has waited for the one before
// it: not as long as that may be on its way.
func (s *Scheduler) gapSince(t *Task, f *Failure, now time.Time) time.Time {
	since := s.attempts.of(t.Message).gapSince
	if since.IsZero() {
		since = now
	}
	if f.Behind.After(since) {
		since = f.Behind
	}
	return since
}

// lastAttempt reports whether the attempt that failed was the last one: the handler of this
// listener has run on the event as often as it may. What the server counts is no matter, except
// that there is no other attempt after its last delivery.
func (s *Scheduler) lastAttempt(t *Task) bool { return t.Attempt >= s.rules.MaxAttempts }

// delay returns how long the event waits for its next attempt. waited is how often in a row
// it has waited, this time included.
func (s *Scheduler) delay(t *Task, f *Failure, waited int) time.Duration {
	switch {
	case f.Timed:
		return f.After
	case f.OutOfOrder:
		return s.rules.GapBackoff(f.Missing, waited)
	case t.Delivery.Once:
		return s.rules.LongestBackoff(t.Attempt)
	default:
		return s.rules.Backoff(t.Attempt)
	}
}

// leaveKeyQueue takes a task out of the queue of its key: the event that has to come
// first may be behind it there.
func (s *Scheduler) leaveKeyQueue(t *Task, now time.Time) {
	if !t.Keyed {
		return
	}
	s.unqueue(t, now)
	t.Keyed, t.outOfOrder = false, true
}

// retryAt puts the next attempt off until due. The task is held here if that is possible for
// so long; else its event comes again. why holds the fields Err, Waited and Skip of the effect:
// why the last attempt failed, or why the delivery is not run, if none of its attempts was made.
func (s *Scheduler) retryAt(t *Task, due, now time.Time, why Effect) {
	e := why
	e.Do, e.Task, e.Delivery, e.Delay, e.Attempt = LetGo, t, t.Delivery, due.Sub(now), t.Attempt
	holdsAsLongAsNeeded := s.rules.CanExtend && (t.Keyed || !s.rules.CanNak || t.GiveUp != nil || t.Delivery.Last)
	switch {
	case t.Delivery.Once, s.draining && !s.rules.CanNak:
	case holdsAsLongAsNeeded && !s.draining, !s.rules.CanNak && s.fits(t, due):
		e.Do, e.Skip = Hold, ""
	case s.rules.CanNak:
		e.Do = Nak
	}
	s.effects = append(s.effects, e)
	if e.Do == Hold {
		s.hold(t, due, now)
	} else {
		s.awaitRedelivery(t, now)
	}
}

// hold keeps a task here until its next attempt is due.
func (s *Scheduler) hold(t *Task, due, now time.Time) {
	t.due = due
	s.setState(t, backingOff)
	s.backingOff.add(t)
	if q := s.keys.byKey[t.Key]; t.Keyed && q.turn == t {
		s.yieldTurn(q)
		s.advance(q, now)
	}
}

// fits reports whether a task that is tried again when due is done within its ack wait,
// even if its handler takes as long as it may.
func (s *Scheduler) fits(t *Task, due time.Time) bool {
	return !due.Add(s.rules.HandlerTimeout + s.ackWait/fitMargin).After(t.Received.Add(s.ackWait))
}

// FirstRetryFits reports whether an attempt after the given backoff can be made within
// the ack wait of the delivery.
func (s *Scheduler) FirstRetryFits(backoff time.Duration) bool {
	return backoff+s.rules.HandlerTimeout+s.ackWait/fitMargin <= s.ackWait
}
