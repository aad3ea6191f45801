package client

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/sgtickets/common/transport"
)

// Event is something that happened to a client. Its Kind is one of package
// transport's: transport.Disconnected, transport.StoreLost and so on, whose
// comments say what they mean.
type Event struct {
	transport.Event

	// Missed is how many events this watcher was too slow to get, between the one
	// before and this one.
	Missed int
}

// watchBuffer is how many events wait for a watcher.
const watchBuffer = 64

// Watch returns what happens to the client from now on, event by event in order:
//
//	for e := range c.Watch(ctx) {
//		if e.Kind == transport.StoreLost { ... }
//	}
//
// The loop ends when ctx is done, at its break, or after the event
// transport.Closed, whose Err is nil after Close; with a client that is closed it
// ends at once. Watch begins with the call, so that nothing is lost before the
// loop begins; range over what it returned once.
//
// There may be any number of watchers. None of them holds up the client or
// another: up to 64 events wait for each, then the oldest are dropped, and the
// next one that the loop gets says in Missed how many. It is safe for concurrent use.
func (c *Client) Watch(ctx context.Context) iter.Seq[Event] {
	w := &watcher{wake: make(chan struct{}, 1)}
	c.monitor.enter(w)
	stop := context.AfterFunc(ctx, func() { c.monitor.leave(w) })
	return func(yield func(Event) bool) {
		defer c.monitor.leave(w)
		defer stop()
		for ctx.Err() == nil {
			e, ok, over := w.take()
			switch {
			case ok:
				if !yield(e) {
					return
				}
			case over:
				return
			default:
				select {
				case <-w.wake:
				case <-ctx.Done():
				case <-c.Done():
					c.noticeEnd()
				}
			}
		}
	}
}

// watcher keeps what waits for one watcher.
type watcher struct {
	wake chan struct{} // holds an element after each change

	mu      sync.Mutex
	waiting []transport.Event
	missed  int
	over    bool // nothing more comes
}

// offer adds an event, and makes room for it if need be.
func (w *watcher) offer(e transport.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == watchBuffer {
		w.waiting = slices.Delete(w.waiting, 0, 1)
		w.missed++
	}
	w.waiting = append(w.waiting, e)
	w.over = e.Kind == transport.Closed
	w.signal()
}

// take removes the oldest event, and reports whether there was one, or can be.
func (w *watcher) take() (e Event, ok, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return Event{}, false, w.over
	}
	e = Event{Event: w.waiting[0], Missed: w.missed}
	w.waiting = slices.Delete(w.waiting, 0, 1)
	w.missed = 0
	return e, true, false
}

// end drops what waits. Nothing more comes.
func (w *watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting, w.over = nil, true
	w.signal()
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
