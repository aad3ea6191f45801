package schedule

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fifo"
)

// On its last delivery an event does not come again: the server counts deliveries, not what
// handlers did, and this was the last that it allows. So such an event is not given back, let go
// or dropped. While it waits it is held here, with its ack wait begun anew again and again. When
// its handler fails, or when the listener ends before it could run, its dead letter is stored.

// errLastDelivery is why an event is given up that could have been tried again but for the server.
var errLastDelivery = errors.New("it was the last delivery that the consumer's max_deliver allows")

// errEndedOnLastDelivery is why an event is given up whose listener ends.
var errEndedOnLastDelivery = fmt.Errorf("the listener ended before the event was handled, and %w", errLastDelivery)

// keepsLast reports whether a delivery that must not be lost can be kept: held, or stored as a dead
// letter.
func (s *Scheduler) keepsLast(t *Task) bool {
	return t.Delivery.Last && (s.rules.DeadLetters || s.rules.CanExtend)
}

// failedLast returns the failure of an attempt that was the last one because of the server.
func failedLast(f Failure) Failure {
	if f.Err == nil {
		f.Err = errLastDelivery
	} else {
		f.Err = fmt.Errorf("%w (%w)", f.Err, errLastDelivery)
	}
	return f
}

// giveUpAtEnd gives up an event that the listener does not come to any more, and that nobody
// gets again.
func (s *Scheduler) giveUpAtEnd(t *Task, now time.Time) {
	s.giveUp(t, Failure{Err: errEndedOnLastDelivery, Reason: events.DeadLetterExhausted}, now)
}

// only keeps those of a queue's tasks in it for which keep is true.
func only(q *fifo.Queue[*Task], keep func(*Task) bool) {
	q.Change(func(all []*Task) []*Task { return slices.DeleteFunc(all, func(t *Task) bool { return !keep(t) }) })
}
