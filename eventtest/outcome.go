package eventtest

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/events"
)

// Kind is what became of an event that was delivered.
type Kind int

const (
	// Acknowledged means that it was handled and does not come again.
	Acknowledged Kind = iota + 1
	// Retried means that it stays unacknowledged and comes again. With ManualAck
	// that also goes for what is not settled when its handler returns; it may still
	// be settled until it comes again.
	Retried
	// DeadLettered means that it was given up, stored on the dead-letter subject, and
	// then acknowledged. Outcome.Reason says why. When the dead letter can't be stored, the event is
	// Retried.
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

// Outcome is what became of an event that [Deliver] delivered. It is a value, of
// the moment at which the handler had returned. The zero value is that of no
// event.
type Outcome struct {
	Kind Kind

	// RetryIn is, of an event that is Retried, when it comes again: after the
	// listener's Backoff, at most, or after what listener.RetryAfter asked for; of one that was left open with ManualAck, after
	// the AckWait. Else zero. (Over NATS Streaming, where the ack wait bounds how long a
	// listener can hold an event, it may come sooner than after its Backoff.)
	RetryIn time.Duration

	// Reason is, of an event that is DeadLettered, why: rejected, exhausted, undecodable
	// or invalid. Else empty.
	Reason events.DeadLetterReason

	// Err is why the event was not handled: what the handler returned, or gave to
	// Delivery.Nak; or an error that says how it panicked, that the payload could
	// not be decoded (listener.ErrUndecodable) or is not valid
	// (listener.ErrInvalidEvent). It is nil for an event that is acknowledged,
	// unless a handler with ManualAck failed after it had acknowledged; and for
	// one that such a handler left open.
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
