package listener

import "time"

// startExtending makes sure that the ack waits of what is here are extended. It is called
// with r.mu held.
func (r *runner) startExtending() {
	if r.extendTimer != nil {
		return
	}
	if interval := r.scheduler.ExtendInterval(); interval > 0 {
		r.extendTimer = time.AfterFunc(interval, r.extendAckWaits)
	}
}

// extendAckWaits begins the ack wait anew of what waits or runs.
func (r *runner) extendAckWaits() {
	r.mu.Lock()
	r.extendTimer = nil
	if r.ended {
		r.mu.Unlock()
		return
	}
	settlers := r.scheduler.ExtendAckWaits(time.Now())
	r.startExtending()
	r.mu.Unlock()
	for _, s := range settlers {
		_ = s.InProgress() // when it does not get through, the event comes again, as it does without
	}
}

// ackWaitChanged: the broker applies another ack wait from now on. The transport calls it.
func (r *runner) ackWaitChanged(d time.Duration) {
	r.applyAckWait(d)
	r.mu.Lock()
	again := r.extendTimer != nil && r.extendTimer.Stop() // it was set by the ack wait before
	r.mu.Unlock()
	if again {
		go r.extendAckWaits()
	}
}
