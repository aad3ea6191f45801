package publisher

import (
	"time"

	"github.com/sgtickets/common/internal/session"
)

// waiter is what a Publish waits with, and what it needs meanwhile. It is used
// again by the next one.
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

// Settle implements transport.Receipt.
func (w *waiter) Settle(err error) {
	w.window.Leave()
	w.settled <- err
}
