package listener

import "time"

// alarm wakes the scheduler.
type alarm struct {
	timer *time.Timer
	rings time.Time // zero: it does not
}

// setAlarm makes sure that the scheduler is woken in time. It is called with r.mu held.
func (r *runner) setAlarm() {
	due := r.scheduler.WakeAt()
	if due.IsZero() || !r.alarm.rings.IsZero() && !due.Before(r.alarm.rings) {
		return
	}
	r.alarm.rings = due
	if r.alarm.timer == nil {
		r.alarm.timer = time.AfterFunc(time.Until(due), r.wake)
		return
	}
	r.alarm.timer.Reset(time.Until(due))
}

func (r *runner) wake() {
	r.mu.Lock()
	r.alarm.rings = time.Time{}
	if !r.ended {
		r.scheduler.Wake(time.Now())
	}
	r.unlock()
}

// stopTimers is called with r.mu held, at the end of the drain.
func (r *runner) stopTimers() {
	for _, t := range []*time.Timer{r.extendTimer, r.alarm.timer, r.watch.timer} {
		if t != nil {
			t.Stop()
		}
	}
}
