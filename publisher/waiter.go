package publisher

import (
	"sync"
	"time"

	"github.com/sgtickets/common/internal/session"
)

// waiter is what a Publish waits with, and what any publish needs until it is on its
// way. It is used again by the next one.
type waiter struct {
	window  *session.Window
	settled chan error
	timer   *time.Timer
	payload []byte
}

func newWaiter(window *session.Window) *waiter {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &waiter{window: window, settled: make(chan error, 1), timer: timer}
}

// within begins to wait for that long. The caller stops the timer.
func (w *waiter) within(d time.Duration) <-chan time.Time {
	w.timer.Reset(d)
	return w.timer.C
}

// largeBuffer is from what size on a payload's buffer is not kept: it is seldom needed.
const largeBuffer = 64 << 10

// giveBack puts it back for the next.
func (w *waiter) giveBack(pool *sync.Pool) {
	if cap(w.payload) > largeBuffer {
		w.payload = nil
	}
	pool.Put(w)
}

// Done implements transport.Receipt.
func (w *waiter) Done(err error) {
	w.window.Leave()
	w.settled <- err
}
