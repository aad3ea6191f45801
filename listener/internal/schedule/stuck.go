package schedule

import "time"

// stuckEvents are those that nobody could handle, and that keep their place at the
// server: those that become no dead letters come again and again, and over NATS
// Streaming so do those whose attempts are not used up. The zero value is ready.
type stuckEvents struct {
	until map[MessageKey]time.Time // an event counts until then; longer, if it comes again
}

// noteStuck counts the event as stuck until it would be with another member.
func (s *Scheduler) noteStuck(t *Task, now time.Time) {
	if s.stuck.until == nil {
		s.stuck.until = make(map[MessageKey]time.Time)
	}
	if len(s.stuck.until) < 2*s.rules.MaxInFlight {
		s.stuck.until[t.Message] = now.Add(redeliveryWaitsInGroup * s.ackWait)
	}
}

// MayBeFull reports whether as many events as MaxInFlight may be stuck. It costs less than
// [Scheduler.Stuck], which looks at each of them.
func (s *Scheduler) MayBeFull() bool {
	n := len(s.stuck.until)
	return n >= s.rules.MaxInFlight || n > 0 && len(s.keys.byKey) > 0
}

// Stuck counts the events that can't be handled and keep their place all the same, and
// those that wait for such a one in the queue of its key.
func (s *Scheduler) Stuck(now time.Time) int {
	n := s.stuck.count(now)
	if n == 0 {
		return 0
	}
	for _, q := range s.keys.byKey {
		if _, is := s.stuck.until[q.tasks[0].Message]; is {
			n += len(q.tasks) - 1
		}
	}
	return n
}

func (s *stuckEvents) remove(key MessageKey) { delete(s.until, key) }

// count returns how many there are, without those that another member has by now.
func (s *stuckEvents) count(now time.Time) int {
	for key, until := range s.until {
		if now.After(until) {
			delete(s.until, key)
		}
	}
	return len(s.until)
}
