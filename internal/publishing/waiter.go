package publishing

import "time"

// waiter is what one call waits with: for the outcome of its publish, or for its timeout.
// Senders keep waiters in a pool.
type waiter struct {
	window  *Window
	outcome chan error
	timer   *time.Timer
}

func newWaiter(window *Window) *waiter {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &waiter{window: window, outcome: make(chan error, 1), timer: timer}
}

// after returns a channel that delivers when d has passed. The caller stops w.timer.
func (w *waiter) after(d time.Duration) <-chan time.Time {
	w.timer.Reset(d)
	return w.timer.C
}

// Done implements transport.Receipt.
func (w *waiter) Done(err error) {
	w.window.Release()
	w.outcome <- err
}
