package client

import (
	"context"
	"iter"
	"sync"
)

// Watch returns what happens to the client from now on, event by event in order:
//
//	for e := range c.Watch(ctx) {
//		if e.Kind == client.EventStoreLost { ... }
//	}
//
// The loop ends when ctx is done, at its break, or after [EventClosed]; with a client that
// is closed, or that Build did not make, it ends at once. A nil ctx is never done. Watch
// begins with the call, so that nothing that happens before the loop begins is missed. Range
// over what it returned once.
//
// There may be any number of watchers. None of them holds up the client or another: up to
// 64 events wait for each, then the oldest are dropped, but none that has a Count, and the next
// event that the loop gets says in Missed how many were. Watch is safe for concurrent use.
//
// [EventDeadLettered] and [EventUndecodable] tell of single events, and may come in floods. At
// most 32 of the events that wait are of these kinds. Of more, those that are alike are made
// one, so that a watcher that counts adds up Count. (More than 32 of which no two are alike, and the
// oldest is dropped.)
//
//	for e := range c.Watch(ctx) {
//		if e.Kind == client.EventDeadLettered {
//			deadLetters.WithLabelValues(e.Listener, e.Reason).Add(float64(e.Count))
//		}
//	}
func (c *Client) Watch(ctx context.Context) iter.Seq[Event] {
	if !c.made() {
		return func(func(Event) bool) {}
	}
	if ctx == nil { // there is no error to return
		ctx = context.Background()
	}
	w := &watcher{wake: make(chan struct{}, 1)}
	c.monitor.addWatcher(w)
	stop := context.AfterFunc(ctx, func() { c.monitor.removeWatcher(w) })
	return func(yield func(Event) bool) {
		defer c.monitor.removeWatcher(w)
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

// watcher keeps the events that wait for one watcher.
type watcher struct {
	wake chan struct{} // holds an element after each change

	mu    sync.Mutex
	queue eventQueue
	over  bool // no event is added any more
}

// offer adds an event.
func (w *watcher) offer(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.add(e)
	w.over = e.Kind == EventClosed
	w.signal()
}

// take removes the oldest event. ok is false if there was none, and over is true if there
// will be none.
func (w *watcher) take() (e Event, ok, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok = w.queue.take(); !ok {
		return e, false, w.over
	}
	return e, true, false
}

// end drops the events that wait, and those to come.
func (w *watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue, w.over = eventQueue{}, true
	w.signal()
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
