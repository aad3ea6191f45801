package schedule

import (
	"slices"
	"time"

	"github.com/sgtickets/common/observe"
)

// How many ack waits a key is held up for an event of it that is to come again: in a
// group another member may get it. Without one nobody else can, but the server may have
// dropped it, at a limit of its own.
const (
	redeliveryWaitsInGroup      = 2
	redeliveryWaitsWithoutGroup = 12
)

// awaitRedelivery lets an event go that comes again. Its key waits for it.
func (s *Scheduler) awaitRedelivery(t *Task, now time.Time) {
	if !t.Keyed || s.draining || s.active[t.Message] != t {
		s.remove(t, now)
		return
	}
	s.setState(t, awaitingRedelivery)
	t.due = now.Add(s.redeliveryWait())
	s.awaitingRedelivery.add(t)
	q := s.keys.byKey[t.Key]
	if q.turn == t {
		q.turn = nil
	}
	s.advance(q, now)
}

func (s *Scheduler) redeliveryWait() time.Duration {
	if s.rules.NoGroup {
		return redeliveryWaitsWithoutGroup * s.ackWait
	}
	return redeliveryWaitsInGroup * s.ackWait
}

// remove forgets a task, and lets the next of its key proceed.
func (s *Scheduler) remove(t *Task, now time.Time) {
	switch t.state { //nolint:exhaustive // only these are in a queue
	case ready:
		s.unready(t)
	case suspected:
		s.suspects.unqueue(t)
	case backingOff:
		s.backingOff.remove(t)
	case awaitingRedelivery:
		s.awaitingRedelivery.remove(t)
	}
	s.setState(t, removed)
	if s.active[t.Message] == t {
		delete(s.active, t.Message)
	}
	if t.Keyed {
		s.unqueue(t, now)
	}
}

// unready takes a task out of those that may run.
func (s *Scheduler) unready(t *Task) {
	s.ready.Change(func(all []*Task) []*Task {
		return slices.DeleteFunc(all, func(other *Task) bool { return other == t })
	})
}

// Interrupt says that the connection was lost. Tasks that do not run are dropped: their
// events come again. Those that are here on their last delivery stay.
func (s *Scheduler) Interrupt(now time.Time) { s.dropIdle(now, observe.SkipInterrupted) }

// Drain drops the tasks that do not run, gives them back to the broker where that is
// possible, and takes no delivery in from now on.
func (s *Scheduler) Drain(now time.Time) {
	s.draining = true
	s.dropIdle(now, observe.SkipDraining)
	s.unmarkAll() // what comes of those that run is an orderly end now
}

// dropIdle drops the tasks whose handlers do not run, that are not to be settled, and
// whose dead letters are not being stored.
func (s *Scheduler) dropIdle(now time.Time, reason string) {
	stays := func(t *Task) bool { return !s.draining && s.keepsLast(t) }
	var dropped []*Task
	for _, t := range s.active {
		if idle(t.state) && !stays(t) {
			dropped = append(dropped, t)
		}
	}
	sortByMessage(dropped)
	only(&s.ready, stays)
	only(&s.suspects.queue, stays)
	s.backingOff.tasks = slices.DeleteFunc(s.backingOff.tasks, func(t *Task) bool { return !stays(t) })
	for _, t := range dropped {
		s.setState(t, arriving)
	}
	for _, t := range s.running {
		t.sameID = slices.DeleteFunc(t.sameID, func(other *Task) bool { return !stays(other) })
	}
	for _, t := range dropped {
		switch {
		case s.draining && t.GiveUp != nil && t.Delivery.Last:
			s.storeDeadLetter(t, true)
			continue
		case s.draining && t.Delivery.Last && s.rules.DeadLetters:
			s.giveUpAtEnd(t, now)
			continue
		}
		if s.draining && s.rules.CanNak {
			s.emit(Nak, t, reason) // another member may begin it now
		} else {
			s.emit(Drop, t, reason)
		}
		s.noteDropped(t)
		s.awaitRedelivery(t, now)
	}
}
