package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// ErrNoPlace is what Window.Enter returns after its timeout.
var ErrNoPlace = errors.New("no place in the window")

// Window bounds how many publishes are in flight at a time. It is safe for
// concurrent use.
type Window struct {
	places chan struct{} // holds one element for each publish in flight
	closed chan struct{}
	once   sync.Once
}

// NewWindow returns a window of size places.
func NewWindow(size int) *Window {
	return &Window{places: make(chan struct{}, size), closed: make(chan struct{})}
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
	select {
	case <-w.closed:
		return transport.ErrClosed
	case <-ctx.Done():
		return await.Ended(ctx)
	case <-timeout:
		return ErrNoPlace
	case w.places <- struct{}{}:
		return nil
	}
}

// Leave gives a place back.
func (w *Window) Leave() { <-w.places }

// Close lets nobody in any more.
func (w *Window) Close() { w.once.Do(func() { close(w.closed) }) }
