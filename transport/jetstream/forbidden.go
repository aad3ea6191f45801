package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
)

const (
	// forbiddenPoll is how often a call that waits for its answer looks whether the server has
	// refused it for want of a permission, and forbiddenPolls is how often it has to see that: it
	// may be an older refusal.
	forbiddenPoll  = 50 * time.Millisecond
	forbiddenPolls = 6
)

// requestUnlessForbidden is request for a call on that subject of JetStream's API. The error
// matches transport.ErrForbidden if this client may not publish to the subject: the call gets no
// answer then, but the server says so beside.
func requestUnlessForbidden[T any](ctx context.Context, c *conn, subject string, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.background(func() { c.cancelIfForbidden(ctx, c.prefix+subject, cancel) })
	v, err := request(ctx, c, call)
	if why := context.Cause(ctx); err != nil && errors.Is(why, transport.ErrForbidden) {
		return v, why // does not match context.Canceled, as if the caller had given up
	}
	return v, err
}

// cancelIfForbidden cancels a request when the server has said that this client may not
// publish to its subject. It returns when ctx is done.
func (c *conn) cancelIfForbidden(ctx context.Context, subject string, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(forbiddenPoll)
	defer ticker.Stop()
	for seen := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := c.nc.LastError()
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`) {
			continue
		}
		seen++
		if seen == forbiddenPolls {
			cancel(fmt.Errorf("%w: %w", transport.ErrForbidden, err))
			return
		}
	}
}
