package await

import (
	"context"
	"time"
)

// notice is how long a call may take to notice that its context is done. Two in a row,
// as at the end of a client that listens, are no more than 50 ms.
const notice = 25 * time.Millisecond

// WithGrace runs a call that keeps to ctx by itself, as far as it can: nats.go holds its
// lock while it dials, and makes others wait for that. It returns what the call
// returns, or ctx's end if that does not come soon after it; the call then goes on by
// itself.
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
