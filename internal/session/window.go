package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// ErrNoPlace is what Window.Enter returns after its timeout.
var ErrNoPlace = errors.New("no place in the window")

// To wake who waits costs more than a place is worth. So those who wait in a wide
// window get the next places a batch at a time, and after keptFor at the latest.
const (
	batches = 16 // in a window
	keptFor = time.Millisecond
)

// Window bounds how many publishes are in flight at a time. It is safe for
// concurrent use.
type Window struct {
	places  chan struct{} // holds one element for each publish in flight, and for each that is kept
	batch   int
	waiting atomic.Int32 // how many wait for a place
	closed  chan struct{}
	once    sync.Once

	mu    sync.Mutex
	kept  int // how many places are free, and kept until there is a batch of them
	timer *time.Timer
	armed bool // the timer runs
}

// NewWindow returns a window of size places.
func NewWindow(size int) *Window {
	return &Window{places: make(chan struct{}, size), batch: max(size/batches, 1), closed: make(chan struct{})}
}

// TryEnter takes a place if one is free. After Close it returns transport.ErrClosed.
func (w *Window) TryEnter() (bool, error) {
	select {
	case <-w.closed:
		return false, transport.ErrClosed
	default:
	}
	select {
	case w.places <- struct{}{}:
		return true, nil
	default:
		return false, nil
	}
}

// Enter waits for a place until ctx is done, and then returns ctx's cause, or until
// there is something in timeout, and then returns ErrNoPlace.
func (w *Window) Enter(ctx context.Context, timeout <-chan time.Time) error {
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	w.release() // what is kept is for who comes now
	select {
	case <-w.closed:
		return transport.ErrClosed
	case <-ctx.Done():
		return await.Cause(ctx)
	case <-timeout:
		return ErrNoPlace
	case w.places <- struct{}{}:
		return nil
	}
}

// Leave gives a place back.
func (w *Window) Leave() {
	if w.batch == 1 || w.waiting.Load() == 0 {
		<-w.places
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept++
	if w.kept >= w.batch {
		w.free()
	} else if !w.armed {
		w.arm()
	}
}

// arm makes sure that what is kept is released in time.
func (w *Window) arm() {
	w.armed = true
	if w.timer == nil {
		w.timer = time.AfterFunc(keptFor, w.release)
		return
	}
	w.timer.Reset(keptFor)
}

// release lets those who wait have the places that are kept.
func (w *Window) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
	w.free()
}

func (w *Window) free() {
	for ; w.kept > 0; w.kept-- {
		<-w.places
	}
}

// InFlight is how many have a place.
func (w *Window) InFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.places) - w.kept
}

// Close lets nobody in any more.
func (w *Window) Close() { w.once.Do(func() { close(w.closed) }) }
