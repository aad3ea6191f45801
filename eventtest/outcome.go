package eventtest

import (
	"fmt"
	"time"
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
	// DeadLettered means that it was given up, and stored on the dead-letter
	// subject. No listener does that yet: an event that fails is Retried without end.
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

	// RetryIn is, of an event that is Retried, when it comes again: the listener's
	// AckWait, which counts from the delivery, or from its last extension where
	// the broker has that; if the listener gave it back by a negative
	// acknowledgement, the delay of that. Else zero.
	RetryIn time.Duration

	// Err is why the event was not handled: what the handler returned, or gave to
	// Delivery.Nak; or an error that says how it panicked, that the payload could
	// not be decoded (listener.ErrUndecodable) or is not valid
	// (listener.ErrInvalidEvent). It is nil for an event that is acknowledged,
	// unless a handler with ManualAck failed after it had acknowledged; and for
	// one that such a handler left open.
	Err error
}

// String returns the outcome as one line: "acknowledged", "retried in 5s: out of
// stock".
func (o Outcome) String() string {
	s := o.Kind.String()
	if o.Kind == Retried {
		s += fmt.Sprintf(" in %v", o.RetryIn)
	}
	if o.Err != nil {
		s += ": " + o.Err.Error()
	}
	return s
}
