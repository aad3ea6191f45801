package publishing

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// ErrWindowFull is what Window.Acquire returns after its timeout.
var ErrWindowFull = errors.New("the window is full")

// Waking a waiting goroutine for each slot costs more than a publish gains by it. So a wide
// window collects the slots that are released while somebody waits. It frees them in
// batches, and the last ones maxHold after the first of them was released.
const (
	batchesPerWindow = 16
	maxHold          = time.Millisecond
)

// Window bounds how many publishes are in flight at a time. It is safe for concurrent use.
type Window struct {
	slots   chan struct{} // holds one element for each publish in flight, and for each slot that is held back
	batch   int
	waiting atomic.Int32 // goroutines in Acquire
	closed  chan struct{}
	once    sync.Once

	mu    sync.Mutex
	held  int // slots that were released and are not free yet
	timer *time.Timer
	armed bool // the timer runs
}

// NewWindow returns a window of size slots.
func NewWindow(size int) *Window {
	return &Window{slots: make(chan struct{}, size), batch: max(size/batchesPerWindow, 1), closed: make(chan struct{})}
}

// TryAcquire takes a slot if one is free. After Close it returns transport.ErrClosed.
func (w *Window) TryAcquire() (bool, error) {
	select {
	case <-w.closed:
		return false, transport.ErrClosed
	default:
	}
	select {
	case w.slots <- struct{}{}:
		return true, nil
	default:
		return false, nil
	}
}

// Acquire waits for a slot. It returns ctx's cause when ctx is done, an error when timeout
// delivers, and transport.ErrClosed after Close. A nil timeout never delivers.
func (w *Window) Acquire(ctx context.Context, timeout <-chan time.Time) error {
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	w.freeHeld()
	select {
	case <-w.closed:
		return transport.ErrClosed
	case <-ctx.Done():
		return await.Cause(ctx)
	case <-timeout:
		return ErrWindowFull
	case w.slots <- struct{}{}:
		return nil
	}
}

// Release returns a slot that TryAcquire or Acquire took.
func (w *Window) Release() {
	if w.batch == 1 || w.waiting.Load() == 0 {
		<-w.slots
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held++
	if w.held >= w.batch {
		w.free()
	} else if !w.armed {
		w.arm()
	}
}

// arm starts the timer that frees the slots held back. w.mu is locked.
func (w *Window) arm() {
	w.armed = true
	if w.timer == nil {
		w.timer = time.AfterFunc(maxHold, w.freeHeld)
		return
	}
	w.timer.Reset(maxHold)
}

// freeHeld frees the slots held back.
func (w *Window) freeHeld() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
	w.free()
}

// free frees the slots held back. w.mu is locked.
func (w *Window) free() {
	for ; w.held > 0; w.held-- {
		<-w.slots
	}
}

// InFlight returns how many slots are taken.
func (w *Window) InFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.slots) - w.held
}

// Close makes TryAcquire and Acquire return transport.ErrClosed, the calls that wait
// included. Slots that are taken can still be released.
func (w *Window) Close() { w.once.Do(func() { close(w.closed) }) }
