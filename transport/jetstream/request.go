package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

const (
	// requestWait bounds each request to JetStream's API. It is the default of nats.go.
	requestWait = 5 * time.Second
	// askAgain is after what time a request is sent again that found no connection, if
	// nats.go has not said by then that the connection is back.
	askAgain = 100 * time.Millisecond
)

// request calls JetStream's API, and waits at most requestWait for the answer. That there is
// no connection to the server is no answer: request waits until the connection is back, or
// ctx is done, and calls again; requestWait begins anew. Likewise if JetStream says that it is
// not available for now, as while a cluster elects a leader, see isUnavailable; and for
// requestWait, or for unansweredFor after the connection is back, where it may be so, see
// mayBeUnavailable. So call must be one that may be carried out twice. While the connection is
// set up, and once it is being closed, request does not wait.
func request[T any](ctx context.Context, c *conn, call func(context.Context) (T, error)) (v T, err error) {
	wait := untilAvailable{conn: c}
	defer func() { wait.end(ctx, err) }()
	for {
		period, back := c.link.current()
		v, err = requestOver(ctx, period, c, call)
		switch {
		case err == nil:
			return v, nil
		case ctx.Err() != nil && !isAway(err) && wait.last != nil:
			return v, unavailableUntil(await.Cause(ctx), wait.last)
		case ctx.Err() != nil || !c.Up() || !isAway(err) && !wait.goOn(err):
			return v, err
		}
		select {
		case <-back:
		case <-time.After(askAgain):
		case <-ctx.Done():
			if isAway(err) {
				return v, awayUntil(ctx)
			}
			return v, unavailableUntil(await.Cause(ctx), err)
		}
	}
}

// requestOnce is request for a call that does not wait for the connection.
func requestOnce[T any](ctx context.Context, c *conn, call func(context.Context) (T, error)) (T, error) {
	period, _ := c.link.current()
	return requestOver(ctx, period, c, call)
}

// requestOver makes one call. period is that of the link; when it ends, the answer can't
// come any more. The error satisfies isAway if there was no connection.
func requestOver[T any](ctx, period context.Context, c *conn, call func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	detach := context.AfterFunc(period, cancel)
	defer detach()
	begunAway, refused := c.link.isAway(), c.permissions.refusals.counted()
	// nats.go holds its lock while it dials, and the call waits for that lock.
	v, err := await.DoWithGrace(bounded, call, nil)
	away := begunAway || period.Err() != nil || c.link.isAway()
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil && (away || isAway(err)):
		return v, awayUntil(ctx)
	case ctx.Err() != nil:
		return v, c.permissions.refusals.explain(refused, await.Cause(ctx))
	case away && isSilence(err):
		return v, errLinkLost
	default:
		return v, c.permissions.refusals.explain(refused, err)
	}
}

// awayUntil is the error of a request for which there was no connection until ctx was done.
func awayUntil(ctx context.Context) error {
	return fmt.Errorf("%w: there is no connection to the NATS server: %w", transport.ErrConnectionLost, await.Cause(ctx))
}

// isAway tells whether a request failed because the connection to the server is away, and is
// being restored.
func isAway(err error) bool {
	return isAny(err, errLinkLost, nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrDisconnected)
}

// isUnserved tells whether the server answers that it has no JetStream.
func isUnserved(err error) bool {
	return isAny(err, nats.ErrNoResponders, js.ErrJetStreamNotEnabled, js.ErrJetStreamNotEnabledForAccount)
}

// isSilence tells whether a request was not answered, for whatever reason.
func isSilence(err error) bool {
	return isAny(err, context.DeadlineExceeded, context.Canceled, nats.ErrTimeout, nats.ErrNoResponders)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
