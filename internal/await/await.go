// Package await bounds calls that take no context by one.
package await

import (
	"context"
	"errors"
	"fmt"
)

// errExited means that the call ended its goroutine instead of returning.
var errExited = errors.New("it called runtime.Goexit")

// Do runs call in a goroutine of its own and returns its result. As soon as ctx is done, Do
// returns an error that matches ctx's error and its cause instead. Then call goes on by
// itself. If it succeeds later, late, unless it is nil, gets its result, to close what nobody
// waits for any more.
func Do[T any](ctx context.Context, call func() (T, error), late func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result)
	go func() {
		r := result{err: errExited}
		defer func() {
			select {
			case done <- r:
			case <-ctx.Done():
				if r.err == nil && late != nil {
					late(r.value)
				}
			}
		}()
		r.value, r.err = call()
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, Cause(ctx)
	}
}

// Cause returns why ctx is done: an error that matches ctx.Err() and its cause.
func Cause(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case errors.Is(cause, err):
		return cause
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		return &ended{err, cause} // one context ended another: the text should not repeat itself
	default:
		return fmt.Errorf("%w: %w", err, cause)
	}
}

// ended matches both errors, and has the text of the cause.
type ended struct{ err, cause error }

func (e *ended) Error() string   { return e.cause.Error() }
func (e *ended) Unwrap() []error { return []error{e.err, e.cause} }
