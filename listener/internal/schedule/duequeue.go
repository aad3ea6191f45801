package schedule

import (
	"slices"
	"time"
)

// dueQueue holds tasks in the order in which they are due. The zero value is ready.
type dueQueue struct{ tasks []*Task }

func (q *dueQueue) add(t *Task) {
	at, _ := slices.BinarySearchFunc(q.tasks, t, func(other, t *Task) int {
		if t.due.Before(other.due) {
			return 1
		}
		return -1 // behind those due at the same time
	})
	q.tasks = slices.Insert(q.tasks, at, t)
}

func (q *dueQueue) remove(t *Task) {
	if at := slices.Index(q.tasks, t); at >= 0 {
		q.tasks = slices.Delete(q.tasks, at, at+1)
	}
}

// Wake goes on with what is due.
func (s *Scheduler) Wake(now time.Time) {
	for len(s.backingOff.tasks) > 0 && !s.backingOff.tasks[0].due.After(now) {
		t := s.backingOff.tasks[0]
		s.backingOff.remove(t)
		if t.outOfOrder {
			t.Keyed, t.outOfOrder, t.yields = true, false, true
			s.enqueue(t, now)
			continue
		}
		s.proceed(t, now)
	}
	s.passSuspectsTurn(now)
	for len(s.awaitingRedelivery.tasks) > 0 && !s.awaitingRedelivery.tasks[0].due.After(now) {
		s.remove(s.awaitingRedelivery.tasks[0], now) // another member has its event
	}
}

// WakeAt returns when to call Wake; zero: there is nothing to wait for.
func (s *Scheduler) WakeAt() time.Time {
	due := s.suspectsTurnEnds()
	for _, q := range []*dueQueue{&s.backingOff, &s.awaitingRedelivery} {
		if len(q.tasks) > 0 && (due.IsZero() || q.tasks[0].due.Before(due)) {
			due = q.tasks[0].due
		}
	}
	return due
}
