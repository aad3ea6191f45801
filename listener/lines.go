package listener

import "slices"

// line is what the book knows of one ordering key: its events that are here, or
// were and come again, in the order in which they were stored.
type line struct {
	queue []*work
	busy  *work // the one that may run, runs, or will; nil: the first is gone
}

// lines are the ordering keys by name. The zero value is ready.
type lines struct {
	byKey map[string]*line
	spare []*line // of keys that have none any more
}

// spareLines bounds what is kept for keys to come.
const spareLines = 64

// join puts an event in its line; one that was gone and has come again has its old
// place.
func (l *lines) join(w *work) *line {
	if l.byKey == nil {
		l.byKey = make(map[string]*line)
	}
	ln := l.byKey[w.key]
	if ln == nil {
		if n := len(l.spare); n > 0 {
			ln, l.spare = l.spare[n-1], l.spare[:n-1]
		} else {
			ln = &line{}
		}
		l.byKey[w.key] = ln
	}
	at, there := slices.BinarySearchFunc(ln.queue, w.id, func(other *work, id identity) int {
		switch {
		case other.id == id:
			return 0
		case other.id.before(id):
			return -1
		default:
			return 1
		}
	})
	if there {
		ln.queue[at] = w
	} else {
		ln.queue = slices.Insert(ln.queue, at, w)
	}
	return ln
}

// leave takes an event out of its line, and forgets a line that is empty.
func (l *lines) leave(w *work) {
	ln := l.byKey[w.key]
	if ln == nil {
		return
	}
	if ln.busy == w {
		ln.busy = nil
	}
	if at := slices.Index(ln.queue, w); at >= 0 {
		ln.queue = slices.Delete(ln.queue, at, at+1)
	}
	if len(ln.queue) == 0 {
		delete(l.byKey, w.key)
		ln.busy = nil
		if len(l.spare) < spareLines {
			l.spare = append(l.spare, ln)
		}
	}
}

// queue holds works in the order in which they are due. The zero value is ready.
type queue struct{ works []*work }

func (q *queue) add(w *work) {
	at, _ := slices.BinarySearchFunc(q.works, w, func(other, w *work) int {
		if w.due.Before(other.due) {
			return 1
		}
		return -1 // behind those due at the same time
	})
	q.works = slices.Insert(q.works, at, w)
}

func (q *queue) remove(w *work) {
	if at := slices.Index(q.works, w); at >= 0 {
		q.works = slices.Delete(q.works, at, at+1)
	}
}
