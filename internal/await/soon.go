package await

import (
	"context"
	"time"
)

// notice is how long a call may take to notice that its context is done.
const notice = 50 * time.Millisecond

// Soon runs a call that keeps to ctx by itself, as far as it can: nats.go holds its
// lock while it dials, and makes others wait for that. It returns what the call
// returns, or ctx's end if that does not come soon after it; the call then goes on by
// itself.
func Soon(ctx context.Context, call func(context.Context) error) error {
	bound, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(notice, func() { cancel(Ended(ctx)) })
	})
	defer stop()
	_, err := Do(bound, func() (struct{}, error) { return struct{}{}, call(ctx) }, nil)
	return err
}
