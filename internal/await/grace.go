package await

import (
	"context"
	"time"
)

// notice is how long a call may take to notice that its context is done. It is so short that
// two such calls in a row, as at the end of a client that listens, add at most 50 ms.
const notice = 25 * time.Millisecond

// WithGrace runs a call that usually returns when ctx is done. It may be late: nats.go, for
// example, holds its lock while it dials, and the call waits for that lock. WithGrace returns
// what the call returns, or, if the call has not returned shortly after ctx was done, ctx's
// error. Then the call goes on by itself.
func WithGrace(ctx context.Context, call func(context.Context) error) error {
	_, err := DoWithGrace(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) }, nil)
	return err
}

// DoWithGrace is WithGrace for a call with a result. late is that of [Do].
func DoWithGrace[T any](ctx context.Context, call func(context.Context) (T, error), late func(T)) (T, error) {
	bound, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(notice, func() { cancel(Cause(ctx)) })
	})
	defer stop()
	return Do(bound, func() (T, error) { return call(ctx) }, late)
}
