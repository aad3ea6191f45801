package schedule

import "time"

// WarnPercent is how much of the ack wait a handler may use up without a warning.
const WarnPercent = 80

// timeoutGrace is how long a handler may go on after its timeout before it counts as one
// that does not heed its context. It can't be ended then.
const timeoutGrace = time.Second

// Warning is something that the owner of a running handler should know.
type Warning struct {
	Task *Task
	Kind WarningKind
}

// WarningKind tells the warnings apart.
type WarningKind uint8

// What there is to warn of.
const (
	// AckWaitNearlyUsed: the handler has used WarnPercent of the ack wait, which the
	// broker can't extend.
	AckWaitNearlyUsed WarningKind = 1 << iota
	// TimeoutIgnored: the handler goes on after its timeout.
	TimeoutIgnored
)

// warnings are the kinds that were given of one attempt.
type warnings WarningKind

// NextWarning returns when the listener should warn of a running task, and of what. The
// time is zero if there is nothing to warn of.
func (s *Scheduler) NextWarning(t *Task) (at time.Time, of WarningKind) {
	if !s.rules.CanExtend && t.warned&warnings(AckWaitNearlyUsed) == 0 {
		at, of = t.Received.Add(s.ackWait/100*WarnPercent), AckWaitNearlyUsed
		left := t.Received.Add(s.ackWait).Sub(t.Begun)
		if half := t.Begun.Add(left / 2); half.After(at) { // a later attempt, which begins late, may be short
			at = half
		}
	}
	if s.rules.HandlerTimeout > 0 && t.warned&warnings(TimeoutIgnored) == 0 {
		if late := t.Begun.Add(s.rules.HandlerTimeout).Add(timeoutGrace); of == 0 || late.Before(at) {
			at, of = late, TimeoutIgnored
		}
	}
	return at, of
}

// Warnings returns what the listener should warn of now, each once for an attempt, and
// when to ask again; zero: there is no need to.
func (s *Scheduler) Warnings(now time.Time) (due []Warning, next time.Time) {
	for _, t := range s.running {
		at, of := s.NextWarning(t)
		for of != 0 && !at.After(now) {
			t.warned |= warnings(of)
			due = append(due, Warning{t, of})
			at, of = s.NextWarning(t)
		}
		if of != 0 && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return due, next
}

// Crowded reports whether the ready tasks can't all begin within the ack wait, if each
// handler takes that long and the broker can't extend it.
func (s *Scheduler) Crowded(handlerTakes time.Duration) bool {
	rounds := (s.ready.Len() + s.rules.Concurrency - 1) / s.rules.Concurrency
	return !s.rules.CanExtend && handlerTakes*time.Duration(rounds) > s.ackWait
}
