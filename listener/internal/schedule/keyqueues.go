package schedule

import (
	"slices"
	"time"
)

// keyQueue is what the scheduler knows of one ordering key: its tasks that are here, or
// were and come again, in the order in which their events were stored.
type keyQueue struct {
	tasks []*Task
	turn  *Task // the one that may run, runs, or will; nil: the first awaits redelivery
}

// keyQueues are the ordering keys by name. The zero value is ready.
type keyQueues struct {
	byKey map[string]*keyQueue
	spare []*keyQueue // of keys that have no task any more
}

// spareKeyQueues bounds how many queues are kept for keys to come.
const spareKeyQueues = 64

// join puts a task in the queue of its key. One that awaited redelivery and has come
// again gets its old place.
func (k *keyQueues) join(t *Task) *keyQueue {
	if k.byKey == nil {
		k.byKey = make(map[string]*keyQueue)
	}
	q := k.byKey[t.Key]
	if q == nil {
		if n := len(k.spare); n > 0 {
			q, k.spare = k.spare[n-1], k.spare[:n-1]
		} else {
			q = &keyQueue{}
		}
		k.byKey[t.Key] = q
	}
	at, there := slices.BinarySearchFunc(q.tasks, t.Message, func(other *Task, key MessageKey) int { return other.Message.compare(key) })
	if there {
		q.tasks[at] = t
	} else {
		q.tasks = slices.Insert(q.tasks, at, t)
	}
	return q
}

// leave takes a task out of the queue of its key, and forgets a queue that is empty.
func (k *keyQueues) leave(t *Task) {
	q := k.byKey[t.Key]
	if q == nil {
		return
	}
	if q.turn == t {
		q.turn = nil
	}
	if at := slices.Index(q.tasks, t); at >= 0 {
		q.tasks = slices.Delete(q.tasks, at, at+1)
	}
	if len(q.tasks) == 0 {
		delete(k.byKey, t.Key)
		q.turn = nil
		if len(k.spare) < spareKeyQueues {
			k.spare = append(k.spare, q)
		}
	}
}

// enqueue puts a task in the queue of its key.
func (s *Scheduler) enqueue(t *Task, now time.Time) {
	s.setState(t, waiting)
	q := s.keys.join(t)
	s.yieldTurn(q)
	s.advance(q, now)
}

// unqueue takes a task out of the queue of its key, and lets the next of that proceed.
func (s *Scheduler) unqueue(t *Task, now time.Time) {
	q := s.keys.byKey[t.Key]
	s.keys.leave(t)
	if q != nil {
		s.advance(q, now)
	}
}

// yieldTurn takes its turn from a task that does not run, when an earlier event of its
// key has come from another member.
func (s *Scheduler) yieldTurn(q *keyQueue) {
	t := q.turn
	if t == nil || t == q.tasks[0] || q.tasks[0].yields || t.GiveUp != nil {
		return
	}
	switch t.state {
	case ready:
		s.unready(t)
	case backingOff:
		s.backingOff.remove(t)
	case suspected:
		s.suspects.unqueue(t)
	case marking, marked:
	default:
		return // it keeps its turn
	}
	s.setState(t, waiting)
	q.turn = nil
}

// advance lets the first task of a queue proceed, unless one of the queue has its turn
// or the first awaits redelivery.
func (s *Scheduler) advance(q *keyQueue, now time.Time) {
	if s.draining || q.turn != nil || len(q.tasks) == 0 || q.tasks[0].state == awaitingRedelivery {
		return
	}
	q.turn = q.tasks[0]
	s.proceed(q.turn, now)
}
