package schedule

import (
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/transport"
)

// Effect is something that the listener has to do, other than to run a handler. It is
// plain data, valid after the task has moved on.
type Effect struct {
	Do       Action
	Task     *Task
	Delivery transport.Delivery // the task's latest when this was decided; of Replace, the one that just came
	Replaced transport.Settler  // of Replace: the delivery before
	Delay    time.Duration      // until the next attempt
	Err      error              // why the last attempt failed; nil: none did
	Waited   int                // how often in a row the event has waited without a failure, this time included; 0: the last attempt failed
	Attempt  int                // the last one; of StoreDeadLetter, how many runs there were
	GiveUp   GiveUp             // of StoreDeadLetter: why the event is given up
	Again    bool               // of StoreDeadLetter: it was decided before, and storing is tried again
	Skip     string             // one of observe's Skip constants, for a delivery that is not run; else empty
	Quiet    bool               // of Drop: the log need not tell of it

	// Unreadable is set when it turns out that the event can't be read. It is the reason that
	// its dead letter has, or would have.
	Unreadable events.DeadLetterReason
}

// Action is what an [Effect] asks for.
type Action uint8

// What the listener has to do.
const (
	// AckAgain: the event was acknowledged and came again. Acknowledge it again.
	AckAgain Action = iota
	// Nak: give the delivery back to the broker, to come again after the delay.
	Nak
	// Hold: nothing. The task stays here and is tried again after the delay.
	Hold
	// LetGo: release the delivery. The event comes again when its ack wait has passed.
	LetGo
	// Drop: release a delivery that no handler saw; Skip says why.
	Drop
	// Replace: release Replaced. The event came again while it is here, and is settled
	// through Delivery.
	Replace
	// StoreDeadLetter: store the task's dead letter, then call DeadLetterStored or
	// DeadLetterNotStored.
	StoreDeadLetter
	// StoreMark: the task is suspect, and is about to run. Find out how many processes have ended
	// while they ran it, store a mark, then call Marked, Crashed or Undecided.
	StoreMark
	// TakeMarkBack: store that the mark does not count any more. This process does not run the task, or not any more.
	TakeMarkBack
)

// TakeEffects returns what was decided since the last call, in order.
func (s *Scheduler) TakeEffects() []Effect {
	all := s.effects
	s.effects = nil
	return all
}

// emit asks for an effect on a task. skip says why its delivery is not run; empty: it
// was, or will be.
func (s *Scheduler) emit(do Action, t *Task, skip string) {
	s.effects = append(s.effects, Effect{Do: do, Task: t, Delivery: t.Delivery, Attempt: t.Attempt, Skip: skip})
}
