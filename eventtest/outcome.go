package eventtest

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/events"
)

// Kind says what became of an event that was delivered.
type Kind int

const (
	// Acknowledged means that the event was handled and does not come again.
	Acknowledged Kind = iota + 1
	// Retried means that the event is not acknowledged and comes again. With ManualAck an
	// event that its handler has not settled when it returns is Retried, too; the handler
	// may still settle it until it comes again.
	Retried
	// DeadLettered means that the listener gave the event up, stored it on the dead-letter
	// subject, and then acknowledged it. Outcome.Reason says why. An event whose dead
	// letter can't be stored is Retried.
	DeadLettered
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Acknowledged:
		return "acknowledged"
	case Retried:
		return "retried"
	case DeadLettered:
		return "dead-lettered"
	default:
		return fmt.Sprintf("Kind(%d)", int(k))
	}
}

// Outcome says what became of an event that [Deliver] delivered, as it was when the handler
// had returned. The zero value is the outcome of no event.
type Outcome struct {
	Kind Kind

	// RetryIn is set for an event that is Retried: the time until it comes again. That is the
	// longest time that the listener's Backoff may draw for that attempt, or the time that
	// listener.RetryAfter or listener.Defer asked for, or, for an event that ManualAck left
	// open, the AckWait. (Over NATS Streaming, where a listener can't hold an event longer
	// than its ack wait, the event may come sooner than after its Backoff.)
	RetryIn time.Duration

	// Reason is set for an event that is DeadLettered: rejected, exhausted, version-gap, crashed,
	// undecodable or invalid.
	Reason events.DeadLetterReason

	// Err says why the event was not handled. It is the error that the handler returned or
	// gave to Delivery.Nak; or it says how the handler panicked, that the payload can't be
	// decoded (listener.ErrUndecodable), or that the event is not valid
	// (listener.ErrInvalidEvent). It is nil for an event that is acknowledged, unless a
	// handler with ManualAck failed after it had acknowledged the event. It is nil for an
	// event that such a handler left open.
	Err error
}

// String returns the outcome as one line: "acknowledged", "retried in 5s: out of
// stock", "dead-lettered as rejected: no such ticket".
func (o Outcome) String() string {
	s := o.Kind.String()
	if o.Kind == Retried {
		s += fmt.Sprintf(" in %v", o.RetryIn)
	}
	if o.Reason != "" {
		s += fmt.Sprintf(" as %s", o.Reason)
	}
	if o.Err != nil {
		s += ": " + o.Err.Error()
	}
	return s
}
