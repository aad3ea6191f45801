package client

import "slices"

const (
	// watchBuffer is how many events wait for a watcher.
	watchBuffer = 64
	// countedBuffer is how many of them may be of those that have a Count: a flood of dead
	// letters drives nothing else out.
	countedBuffer = watchBuffer / 2
)

// eventQueue holds the events that wait for one watcher. It has no lock of its own.
type eventQueue struct {
	waiting []Event
	counted int // those with a Count among waiting
	missed  int // events dropped since the last one that was taken
}

// add adds an event. If too many wait, one with a Count is added to the last one like it; if
// there is none, two that wait are made one. What can't be counted in that way is dropped, the
// oldest first.
func (q *eventQueue) add(e Event) {
	switch {
	case e.Count > 0 && q.counted == countedBuffer:
		if q.merge(e) {
			return
		}
		if !q.join() {
			q.drop(slices.IndexFunc(q.waiting, func(old Event) bool { return old.Count > 0 }))
		}
	case len(q.waiting) == watchBuffer:
		q.drop(slices.IndexFunc(q.waiting, func(old Event) bool { return old.Count == 0 }))
	}
	q.waiting = append(q.waiting, e)
	if e.Count > 0 {
		q.counted++
	}
}

// merge adds an event to the last one that is like it, and reports whether there is one.
func (q *eventQueue) merge(e Event) bool {
	for i := len(q.waiting) - 1; i >= 0; i-- {
		if old := &q.waiting[i]; alike(old, &e) {
			e.Count += old.Count
			*old = e
			return true
		}
	}
	return false
}

// join adds the oldest event that has one like it behind it to that one, and reports whether
// there was such an event.
func (q *eventQueue) join() bool {
	for i := range q.waiting {
		for j := i + 1; j < len(q.waiting); j++ {
			if alike(&q.waiting[i], &q.waiting[j]) {
				q.waiting[j].Count += q.waiting[i].Count
				q.remove(i)
				return true
			}
		}
	}
	return false
}

func alike(a, b *Event) bool {
	return a.Count > 0 && a.Kind == b.Kind && a.Listener == b.Listener && a.Subject == b.Subject && a.Group == b.Group && a.Reason == b.Reason
}

func (q *eventQueue) drop(i int) {
	q.missed += max(q.waiting[i].Count, 1)
	q.remove(i)
}

func (q *eventQueue) remove(i int) {
	if q.waiting[i].Count > 0 {
		q.counted--
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
}

// take removes the oldest event. ok is false if there is none.
func (q *eventQueue) take() (e Event, ok bool) {
	if len(q.waiting) == 0 {
		return Event{}, false
	}
	e = q.waiting[0]
	e.Missed = q.missed
	q.remove(0)
	q.missed = 0
	return e, true
}
