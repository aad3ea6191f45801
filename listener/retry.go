package listener

import (
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/transport"
)

const (
	defaultMaxAttempts  = 20
	defaultFirstBackoff = 100 * time.Millisecond
	defaultMaxBackoff   = 30 * time.Second
)

// MaxAttempts is how often an event is tried before it becomes a dead letter.
// Default 20; at least 1: the first failure is the last. What counts is
// [Delivery.Attempt]. With [NoDeadLetters] an event is tried without end, once an
// ack wait when its attempts are used up.
func MaxAttempts(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option MaxAttempts: %d; must be at least 1", transport.ErrInvalid, n)
		}
		o.maxAttempts = n
		return nil
	}
}

// Backoff is how long a failed event waits for its next attempt: first after the
// first, twice as long after each further one, at most limit; of each time the last
// half is drawn by chance. Default 100 ms and 30 s, with which the 20 attempts by
// default take about four minutes. first must be positive, and limit not less.
//
// Over NATS Streaming, which sends what is not acknowledged again after each ack
// wait, an event waits here as long as that lasts, at least a tenth of it and
// [HandlerTimeout] before its end; beyond it the redelivery is the next attempt, by
// whichever member gets it. With the defaults: at 0, 0.1, 0.3, 0.7, 1.5 and 3.1 s,
// then each 5 s, so that 20 attempts take about a minute and a quarter.
func Backoff(first, limit time.Duration) Option {
	return func(o *options) error {
		if first <= 0 || limit < first {
			return fmt.Errorf("%w option Backoff: first %v, limit %v; the first must be positive, and the limit not less", transport.ErrInvalid, first, limit)
		}
		o.backoff, o.backoffSet = backoff.Policy{First: first, Max: limit}, true
		return nil
	}
}

// RetryAfter returns an error with which a handler, or [Delivery.Nak], says that
// the event is to be tried again after d, for a reason that err tells, instead of
// after its [Backoff]. It counts as an attempt like any other. Over NATS Streaming,
// when d does not fit into the ack wait, redeliveries before it has passed are not
// run by this listener, and not counted; other members of the group do not know of
// it. A d of zero or less is at once. The error matches err.
func RetryAfter(d time.Duration, err error) error {
	return &retryError{max(d, 0), err}
}

// Reject returns an error with which a handler, or [Delivery.Nak], says that trying
// again can't help: the event becomes a dead letter at once. Where an error matches
// both this and [RetryAfter], it is rejected. The error matches err.
func Reject(err error) error { return &rejectedError{err} }

type retryError struct {
	delay time.Duration
	err   error
}

func (e *retryError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("try again after %v", e.delay)
	}
	return e.err.Error()
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

// failure is why an attempt failed, and what that asks for.
type failure struct {
	err    error
	reason events.DeadLetterReason // trying again can't help; empty: it may
	after  time.Duration           // the next attempt, where timed says so; else the policy does
	timed  bool
	aside  bool // what has to come first may be behind it in its line
}

// failed makes a failure of what a handler returned. An error whose methods panic, as
// those of a nil pointer that was made an error do, is one like any other.
func failed(err error) (f failure) {
	defer func() {
		if p := recover(); p != nil {
			f = failure{err: fmt.Errorf("handler returned an error (%T) whose own methods panic: %v", err, p)}
		}
	}()
	_ = err.Error() // so that it panics here, if it does
	f = failure{err: err, aside: errors.Is(err, ErrVersionGap)}
	var u *unreadError
	var r *rejectedError
	var a *retryError
	switch {
	case errors.As(err, &u):
		return unreadable(u.error)
	case errors.As(err, &r):
		f.reason = events.DeadLetterRejected
	case errors.As(err, &a):
		f.after, f.timed = a.delay, true
	}
	return f
}

// unreadError is the error of an attempt that could not be made.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// unreadable makes a failure of why a payload was not made an event.
func unreadable(err error) failure {
	if errors.Is(err, ErrInvalidEvent) {
		return failure{err: err, reason: events.DeadLetterInvalid}
	}
	return failure{err: err, reason: events.DeadLetterUndecodable}
}
