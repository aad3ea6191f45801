package schedule

// unreadableRow counts the events in a row that could not be read: whose payloads could not
// be decoded, or that were not valid. The zero value is ready.
type unreadableRow struct {
	n       int
	last    Failure
	key     MessageKey // of the last one
	stopped bool       // there were as many as the rules allow
}

// UnreadableInARow returns how many events in a row could not be read, each counted once
// though it may come again, and the sequence and the failure of the last of them.
func (s *Scheduler) UnreadableInARow() (n int, sequence uint64, last Failure) {
	return s.unreadable.n, s.unreadable.key.Sequence, s.unreadable.last
}

// StoppedAtUnreadable reports whether as many events in a row could not be read as the rules
// allow. From then on no event becomes a dead letter because it can't be read. The listener
// has to end.
func (s *Scheduler) StoppedAtUnreadable() bool { return s.unreadable.stopped }

// Readable says that an event could be read, which ends the row.
func (s *Scheduler) Readable() { s.unreadable.n = 0 }

// noteUnreadable counts a task that could not be read, and reports whether that was not known
// of its event.
func (s *Scheduler) noteUnreadable(t *Task, f Failure, history *attemptHistory) (news bool) {
	if history.unreadable {
		return false
	}
	history.unreadable = true
	s.unreadable.n++
	s.unreadable.key, s.unreadable.last = t.Message, f
	if limit := s.rules.StopAtUnreadable; limit > 0 && s.unreadable.n >= limit {
		s.unreadable.stopped = true
	}
	return true
}
