package stan

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// DeleteDurable implements [transport.Conn]. The protocol can delete a durable only through
// a subscription to it, so DeleteDurable subscribes and unsubscribes. The server keeps the
// durable of a queue group until the group's last member unsubscribes.
func (c *conn) DeleteDurable(ctx context.Context, s transport.SubscribeConfig) error {
	if s.Durable == "" {
		return fmt.Errorf("%w: no durable name", transport.ErrInvalid)
	}
	if err := c.Err(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return await.Cause(ctx)
	}
	session, err := c.awaitSession(ctx)
	if err != nil {
		return err
	}
	// The server sends as little as possible to a member that leaves at once: one message,
	// which it gives to the other members, if there are any, as soon as this one has left.
	s.MaxInFlight = 1
	s.AckWait = time.Second
	// The position stays the caller's: if the request is cut off, the durable that it may have
	// made must not skip anything.
	inner, err := await.Do(ctx, func() (stan.Subscription, error) { return session.subscribe(s, func(transport.Delivery) {}) },
		func(late stan.Subscription) { _ = late.Unsubscribe() })
	switch {
	case err == nil:
	case ctx.Err() != nil, leavesGhost(err) && err.Error() != errDuplicateDurable:
		return fmt.Errorf("the server did not confirm the subscription by which it deletes durable %q: %w", s.Durable, err)
	case isUnconnected(err):
		return fmt.Errorf("%w: %w", transport.ErrConnectionLost, err)
	default:
		return explainSubscribe(err)
	}
	if _, err := await.Do(ctx, func() (struct{}, error) { return struct{}{}, inner.Unsubscribe() }, nil); err != nil {
		return fmt.Errorf("the server did not confirm that durable %q is deleted: %w", s.Durable, err)
	}
	c.forgetPlace(s)
	return nil
}
