package schedule

import (
	"time"

	"github.com/sgtickets/common/observe"
)

// Deliver takes a delivery in. An event that is here already is not taken a second time:
// its ack wait counts from now on, and it is settled through the later delivery.
func (s *Scheduler) Deliver(t *Task, now time.Time) {
	s.endReading(now)
	here := s.active[t.Message]
	switch {
	case s.acknowledged.has(t.Message):
		s.emit(AckAgain, t, observe.SkipHandled)
	case s.draining && here == nil && t.Delivery.Last && s.rules.DeadLetters:
		t.Keyed = false
		s.accept(t, now)
	case s.draining:
		s.emit(Drop, t, observe.SkipDraining) // it comes again, to another member or to the next Listen
	case here != nil && here.state != awaitingRedelivery:
		s.replace(here, t)
	default:
		if here != nil {
			s.awaitingRedelivery.remove(here)
			s.setState(here, removed)
		}
		s.accept(t, now)
		if here != nil && here.Keyed && !t.Keyed { // it can't be read any more: nobody takes its old place
			s.unqueue(here, now)
		}
	}
}

// replace makes a task that is here settle through a later delivery of its event.
func (s *Scheduler) replace(here, later *Task) {
	replaced := here.Delivery.Settler
	here.Delivery, here.Received = later.Delivery, later.Received
	s.effects = append(s.effects, Effect{
		Do: Replace, Task: here, Delivery: later.Delivery, Replaced: replaced, Attempt: here.Attempt, Skip: observe.SkipHere,
	})
}

// accept gives a new task its place.
func (s *Scheduler) accept(t *Task, now time.Time) {
	s.active[t.Message] = t
	history := s.attempts.of(t.Message)
	t.GiveUp, t.Attempt = history.giveUp, history.attempt
	t.due = history.notBefore
	t.suspect = s.isSuspect(t)
	if t.Keyed && history.outOfOrder && t.due.After(now) {
		t.Keyed, t.outOfOrder = false, true
	}
	if !t.Keyed {
		s.proceed(t, now)
		return
	}
	s.enqueue(t, now)
}

// proceed takes the next step with a task that waits for no other.
func (s *Scheduler) proceed(t *Task, now time.Time) {
	switch {
	case t.GiveUp != nil:
		s.storeDeadLetter(t, true)
	case t.Failed != nil: // it can't be read
		s.giveUp(t, *t.Failed, now)
	case s.draining && t.Delivery.Last && s.rules.DeadLetters:
		s.giveUpAtEnd(t, now)
	case t.due.After(now):
		s.retryAt(t, t.due, now, Effect{Skip: observe.SkipEarly})
	case t.suspect:
		s.queueSuspect(t, now)
	default:
		s.setState(t, ready)
		s.ready.Push(t)
	}
}
