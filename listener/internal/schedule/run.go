package schedule

import (
	"slices"
	"time"

	"github.com/sgtickets/common/observe"
)

// lateMargin: an event counts as late when less than a 20th of its ack wait is left. The
// server's clock for it began before it arrived, and a handler that begins this late
// would hardly finish in time.
const lateMargin = 20

// Next returns the next task to run, and marks it running; nil if there is none or as
// many run as may. An event is dropped whose ack wait has passed or is about to pass:
// another member has it by now, or soon will.
func (s *Scheduler) Next(now time.Time) *Task {
	for len(s.running) < s.rules.Concurrency {
		t := s.nextReady(now)
		if t == nil {
			return nil
		}
		switch other := s.runningWithID(t.id); {
		case s.late(t, now):
			s.dropLate(t, now)
		case s.acknowledged.hasID(t.id):
			s.emit(AckAgain, t, observe.SkipCopy)
			s.remember(t, EventID{})
			s.remove(t, now)
		case other != nil:
			s.setState(t, waiting)
			other.sameID = append(other.sameID, t)
		default:
			s.begin(t, now)
			return t
		}
	}
	return nil
}

// nextReady takes a task out of those that may run: the first of those that are ready, or a
// suspect one that has its turn.
func (s *Scheduler) nextReady(now time.Time) *Task {
	if t := s.nextSuspect(now); t != nil {
		return t
	}
	if s.ready.Len() == 0 {
		return nil
	}
	return s.ready.Pop()
}

// late reports whether the ack wait of a task has passed, or is about to pass, so that another
// member gets its event. A suspect task of a broker that takes nothing back is never late: NATS
// Streaming adds an ack wait to what is left of the last one whenever a member subscribes
// (sendMsgToSub of nats-streaming-server), so that after many restarts an event that is dropped
// comes again after as many ack waits.
func (s *Scheduler) late(t *Task, now time.Time) bool {
	if t.suspect && !s.rules.CanNak {
		return false
	}
	return !t.Delivery.Last && now.Sub(t.Received) >= s.ackWait-s.ackWait/lateMargin
}

func (s *Scheduler) dropLate(t *Task, now time.Time) {
	s.emit(Drop, t, observe.SkipLate)
	s.noteDropped(t)
	s.awaitRedelivery(t, now)
}

// runningWithID returns the running task with that event ID.
func (s *Scheduler) runningWithID(id EventID) *Task {
	if id == (EventID{}) {
		return nil
	}
	for _, t := range s.running {
		if t.id == id {
			return t
		}
	}
	return nil
}

// begin counts an attempt.
func (s *Scheduler) begin(t *Task, now time.Time) {
	t.Attempt++
	t.Begun, t.warned, t.hung = now, 0, nil
	s.setState(t, running)
	t.runIndex = len(s.running)
	s.running = append(s.running, t)
}

// Returned says that the task's handler has returned: the next task may run. With
// ManualAck that is before or after the event is settled; the next task of its key waits
// for both.
func (s *Scheduler) Returned(t *Task, now time.Time) {
	s.progressed(now)
	last := s.running[len(s.running)-1]
	s.running[t.runIndex], last.runIndex = last, t.runIndex
	s.running = slices.Delete(s.running, len(s.running)-1, len(s.running))
	s.setState(t, unsettled)
	sameID := t.sameID
	t.sameID = nil
	for _, other := range sameID {
		if other.state == waiting {
			s.proceed(other, now)
		}
	}
	switch f := t.Failed; {
	case t.settled:
		s.remove(t, now)
	case f != nil:
		t.Failed = nil
		s.Fail(t, *f, now)
	}
}

// Acknowledged says that an event was acknowledged: it must not run again.
func (s *Scheduler) Acknowledged(t *Task, now time.Time) {
	t.settled = true
	s.progressed(now)
	s.remember(t, t.id)
	switch {
	case t.state == removed:
	case t.state != running:
		s.remove(t, now)
	case s.active[t.Message] == t:
		delete(s.active, t.Message) // its ack wait need not be extended any more
	}
}

// AcknowledgedLate says that an event was acknowledged after it had been given up. An
// attempt that waits is not made any more; one that runs can't be called back.
func (s *Scheduler) AcknowledgedLate(t *Task, now time.Time) {
	here := s.active[t.Message]
	if here == nil {
		s.remember(t, t.id)
		return
	}
	if idle(here.state) {
		s.emit(Drop, here, observe.SkipHandled)
	}
	if here.state != deadLettering {
		s.Acknowledged(here, now)
	}
}

// remember keeps an event that was acknowledged from running again, and forgets its
// attempts.
func (s *Scheduler) remember(t *Task, id EventID) {
	s.attempts.forget(t.Message)
	s.stuck.remove(t.Message)
	s.acknowledged.add(t.Message, id)
}
