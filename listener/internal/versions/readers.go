package versions

import (
	"sync"
	"time"
)

// Readers are the listeners of a process that share stores of versions. They tell how far
// each has read, so that an event that waits for the one before it knows whether that may
// still be on its way. The zero value is ready. It is safe for concurrent use.
type Readers struct {
	mu  sync.Mutex
	all map[any]map[*Reader]struct{} // by store
}

// Reader is one listener, from when it begins to listen until it ends.
type Reader struct {
	readers *Readers
	store   any
	began   time.Time

	mu     sync.Mutex
	last   progress  // the event that was done with last
	behind time.Time // when it was last done with one that was stored before it began
}

// progress is an event that was done with.
type progress struct{ at, stored time.Time }

// Add adds a listener that begins to listen now.
func (r *Readers) Add(store any, now time.Time) *Reader {
	reader := &Reader{readers: r, store: store, began: now}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[any]map[*Reader]struct{})
	}
	if r.all[store] == nil {
		r.all[store] = make(map[*Reader]struct{})
	}
	r.all[store][reader] = struct{}{}
	return reader
}

// Behind returns when a listener of the store was last seen to read what was stored before
// it began, or before an event that was stored at a time: the one that is missing before
// that event may be still to come. Zero: never.
func (r *Readers) Behind(store any, stored time.Time) (last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for reader := range r.all[store] {
		if at := reader.behindAt(stored); at.After(last) {
			last = at
		}
	}
	return last
}

func (r *Reader) behindAt(stored time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.stored.Before(stored) {
		return r.last.at
	}
	return r.behind
}

// Done says that the listener is done with an event, which was stored at a time: it was
// handled, or given up.
func (r *Reader) Done(stored, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = progress{now, stored}
	if stored.Before(r.began) {
		r.behind = now
	}
}

// Remove says that the listener has ended.
func (r *Reader) Remove() {
	r.readers.mu.Lock()
	defer r.readers.mu.Unlock()
	all := r.readers.all[r.store]
	delete(all, r)
	if len(all) == 0 {
		delete(r.readers.all, r.store)
	}
}
