package listener

import (
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener/internal/schedule"
)

// RetryAfter returns an error with which a handler, or [Delivery.Nak], says that the event is
// to be tried again after d, for a reason that err tells, instead of after its [Backoff]. It
// counts as an attempt like any other. Over NATS Streaming, when d does not fit into the ack
// wait, redeliveries before it has passed are not run by this listener, and not counted;
// other members of the group do not know of it. If d is zero or less, it is tried again at
// once. The error matches err. err may be nil, where the handler has no failure to tell of:
// the log then tells of it at debug level only.
func RetryAfter(d time.Duration, err error) error {
	return &retryError{delay: max(d, 0), err: err}
}

// Defer returns an error with which a handler, or [Delivery.Nak], says "not yet": nothing has
// failed, and the event is to be tried again after d, as with [RetryAfter]. It uses no
// attempt, so that [Delivery.Attempt] is the same next time, and never becomes a dead letter
// by being deferred, however often. Meanwhile the event takes room: when as many as
// [MaxInFlight] are deferred, no other comes over NATS Streaming. If d is zero or less, it is
// tried again at once; only a handler that waits by itself should ask for that. The log tells
// of it at debug level only. Where an error matches both this and [Reject], it is rejected.
func Defer(d time.Duration) error {
	return &retryError{delay: max(d, 0), deferred: true}
}

// Reject returns an error with which a handler, or [Delivery.Nak], says that trying
// again can't help: the event becomes a dead letter at once. Where an error matches
// both this and [RetryAfter], it is rejected. The error matches err.
func Reject(err error) error { return &rejectedError{err} }

type retryError struct {
	delay    time.Duration
	err      error
	deferred bool // it uses no attempt
}

func (e *retryError) Error() string {
	switch {
	case e.err != nil:
		return e.err.Error()
	case e.deferred:
		return fmt.Sprintf("deferred for %v", e.delay)
	default:
		return fmt.Sprintf("try again after %v", e.delay)
	}
}

func (e *retryError) Unwrap() error { return e.err }

type rejectedError struct{ err error }

func (e *rejectedError) Error() string {
	if e.err == nil {
		return "rejected"
	}
	return e.err.Error()
}

func (e *rejectedError) Unwrap() error { return e.err }

// withoutCause reports whether a handler asked for another attempt, and gave no error as
// the reason.
func withoutCause(err error) bool {
	if errors.Is(err, errGivenBack) {
		return true
	}
	a, ok := errors.AsType[*retryError](err)
	return ok && a.err == nil
}

// failureOf makes a failure of what a handler returned. An error whose methods panic, as
// those of a nil pointer that was made an error do, is one like any other.
func failureOf(err error) (f schedule.Failure) {
	defer func() {
		if p := recover(); p != nil {
			f = schedule.Failure{Err: fmt.Errorf("handler returned an error (%T) whose own methods panic: %v", err, p)}
		}
	}()
	_ = err.Error() // so that it panics here, if it does
	f = schedule.Failure{Err: err, OutOfOrder: errors.Is(err, ErrVersionGap), Missing: missingBefore(err)}
	var u *unreadError
	var r *rejectedError
	var a *retryError
	switch {
	case errors.As(err, &u):
		return unreadable(u.error)
	case errors.As(err, &r):
		f.Reason = events.DeadLetterRejected
	case errors.As(err, &a):
		f.After, f.Timed, f.Waits = a.delay, true, a.deferred
	}
	return f
}

// unreadError is the error of an attempt that could not be made.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// unreadable makes a failure of why a payload was not made an event.
func unreadable(err error) schedule.Failure {
	if errors.Is(err, ErrInvalidEvent) {
		return schedule.Failure{Err: err, Reason: events.DeadLetterInvalid}
	}
	return schedule.Failure{Err: err, Reason: events.DeadLetterUndecodable}
}
