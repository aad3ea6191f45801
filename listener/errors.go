package listener

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

var (
	// ErrListening means that the listener listens already.
	ErrListening = errors.New("already listening")
	// ErrNotDelivered means that the delivery did not come from a server.
	ErrNotDelivered = errors.New("not delivered")
	// ErrSettled means that the delivery was acknowledged or given back before.
	ErrSettled = errors.New("already settled")
	// ErrNotManual means that the listener acknowledges by itself; see ManualAck.
	ErrNotManual = errors.New("listener without ManualAck acknowledges by itself")
	// ErrUndecodable means that the payload is not what the event's type says.
	ErrUndecodable = errors.New("undecodable")
	// ErrInvalidEvent means that the event's own Validate refuses it.
	ErrInvalidEvent = events.ErrInvalidEvent
	// ErrUnfinished means that the drain's time was up before the listener was done: the
	// error names the handlers that were still running, the events that were not settled
	// and the dead letters that were not stored, by sequence, the first 20 of each.
	ErrUnfinished = errors.New("unfinished")
	// ErrSubscriptionClosed means that it is too late to settle; the event comes again.
	ErrSubscriptionClosed = transport.ErrSubscriptionClosed
	// ErrConnectionLost means that the client's connection is over, without Close.
	ErrConnectionLost = transport.ErrConnectionLost
	// ErrClosed means that the client was closed.
	ErrClosed = transport.ErrClosed
)

// errNoContext is why a call without a context does nothing.
var errNoContext = fmt.Errorf("%w context: nil; use context.Background()", transport.ErrInvalid)

// Error is what a [Listener]'s methods return. It matches its cause with
// errors.Is and errors.As.
type Error struct {
	Subject subjects.Subject
	Group   string // the queue group; empty without one
	Err     error

	doing string // empty: listening
}

// Error returns the text, which begins with what was done, the subject and the
// group.
func (e *Error) Error() string {
	text := cmp.Or(e.doing, "listen to") + " " + string(cmp.Or(e.Subject, "no subject"))
	if e.Group != "" {
		text += " as " + e.Group
	}
	if e.Err == nil {
		return text
	}
	return text + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
