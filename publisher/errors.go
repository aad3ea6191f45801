package publisher

import (
	"fmt"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

var (
	// ErrNotStored means that the server did not store the event and will not. It is safe to
	// publish it again.
	ErrNotStored = transport.ErrNotStored
	// ErrOutcomeUnknown means that the server may have stored the event, or may yet.
	// Publishing it again may double it.
	ErrOutcomeUnknown = transport.ErrOutcomeUnknown
	// ErrPending means that the outcome is not decided yet.
	ErrPending = publishing.ErrPending
	// ErrClosed means that the client was closed.
	ErrClosed = transport.ErrClosed
	// ErrTooLarge means that the payload is over the server's limit.
	ErrTooLarge = transport.ErrTooLarge
	// ErrInvalidEvent means that the event's own Validate, or the codec, refuses it.
	ErrInvalidEvent = events.ErrInvalidEvent
)

// errNoContext is why a call without a context publishes nothing.
var errNoContext = fmt.Errorf("%w context: nil; use context.Background()", transport.ErrInvalid)

// Error is what every method of this package that publishes returns. errors.Is finds exactly
// one of [ErrNotStored] and [ErrOutcomeUnknown] in it (or [ErrPending], from methods of
// [Pending]), and the cause, such as the context's error.
type Error struct {
	Subject subjects.Subject
	Err     error
}

// Error returns the text, which begins with the subject.
func (e *Error) Error() string { return "publish " + string(e.Subject) + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// wrap makes the error that callers get.
func wrap(subject string, err error) error { return &Error{subjects.Subject(subject), err} }
