package schedule

import (
	"time"

	"github.com/sgtickets/common/events"
)

// GiveUp is why an event is given up, as it was when that was decided.
type GiveUp struct {
	Reason   events.DeadLetterReason
	Err      error
	Attempts int
	At       time.Time
}

// giveUp ends the attempts of an event: its dead letter is still to be stored. With dead
// letters turned off the event goes on, once an ack wait, as long as the server sends
// it.
func (s *Scheduler) giveUp(t *Task, f Failure, now time.Time) {
	history := s.attempts.of(t.Message)
	history.attempt, history.notBefore, history.waited = t.Attempt, time.Time{}, 0
	var unreadable events.DeadLetterReason
	if f.Unreadable() && s.noteUnreadable(t, f, &history) {
		unreadable = f.Reason
	}
	switch {
	case f.Unreadable() && s.unreadable.stopped && !t.Delivery.Last: // the listener ends: others may be able to read it
		s.attempts.set(t.Message, history)
		s.retryAt(t, now, now, Effect{Err: f.Err, Unreadable: unreadable})
		return
	case !s.rules.DeadLetters:
		s.attempts.set(t.Message, history)
		s.noteStuck(t, now)
		s.retryAt(t, now.Add(s.ackWait), now, Effect{Err: f.Err, Unreadable: unreadable})
		return
	}
	if f.Reason == "" {
		f.Reason = events.DeadLetterExhausted
	}
	history.giveUp = &GiveUp{Reason: f.Reason, Err: f.Err, Attempts: t.Attempt, At: now}
	s.attempts.set(t.Message, history)
	t.GiveUp = history.giveUp
	s.storeDeadLetter(t, false)
	s.effects[len(s.effects)-1].Unreadable = unreadable
}

// storeDeadLetter has the dead letter of an event stored that is given up; again: it was
// given up before.
func (s *Scheduler) storeDeadLetter(t *Task, again bool) {
	s.setState(t, deadLettering)
	s.effects = append(s.effects, Effect{
		Do: StoreDeadLetter, Task: t, Delivery: t.Delivery, Attempt: t.GiveUp.Attempts, GiveUp: *t.GiveUp, Again: again,
	})
}

// DeadLetterStored says that the dead letter is stored and the event settled.
func (s *Scheduler) DeadLetterStored(t *Task, now time.Time) {
	s.remember(t, EventID{}) // under its event ID it may come again: put back by Redrive
	s.remove(t, now)
}

// DeadLetterNotStored says that the dead letter may not be stored. The event stays
// unacknowledged, and storing is tried again after the delay that is returned.
func (s *Scheduler) DeadLetterNotStored(t *Task, now time.Time) time.Duration {
	t.storeTries++
	delay := s.rules.DeadLetterBackoff(t.storeTries)
	s.retryAt(t, now.Add(delay), now, Effect{})
	return delay
}
