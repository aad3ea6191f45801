package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// leave tells the server that the subscription has ended. The last member deletes a
// consumer that has no durable name.
func (s *subscription) leave(ctx context.Context) error {
	c := s.conn
	if !s.consumer.durable && !s.needed(ctx) {
		// If it can't be deleted, the server does so itself after a while.
		_, _ = request(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, s.consumer.name)
		})
	}
	_, err := request(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.nc.FlushWithContext(ctx) })
	return err
}

// needed reports whether other members wait for events, or have some. A member
// at MaxInFlight has no waiting pull request.
func (s *subscription) needed(ctx context.Context) bool {
	if !s.consumer.shared {
		return false
	}
	for range 10 {
		waiting, pending, err := s.conn.members(ctx, s.consumer)
		if err != nil || waiting > 0 {
			return true
		}
		if pending == 0 {
			return false
		}
		select { // the server may answer before it has processed the acknowledgements sent before
		case <-ctx.Done():
			return true
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}

// members returns how many requests for events of a consumer wait at the server,
// those of the members that listen, and how many events are not acknowledged.
func (c *conn) members(ctx context.Context, ref consumerRef) (waiting, pending int, err error) {
	consumer, err := request(ctx, func(ctx context.Context) (js.Consumer, error) { return c.js.Consumer(ctx, c.cfg.ClusterID, ref.name) })
	if err != nil {
		return 0, 0, err
	}
	info := consumer.CachedInfo()
	return info.NumWaiting, info.NumAckPending, nil
}

// DeleteDurable implements [transport.Conn]. A consumer that members wait on for
// events is not deleted: they would make it again. A member at MaxInFlight has no
// waiting pull request, so that it is not detected: the server can't tell it from one
// that has died, and what nobody acknowledged must not keep a durable from being
// deleted.
func (c *conn) DeleteDurable(ctx context.Context, s transport.SubscribeConfig) error {
	if s.Durable == "" {
		return fmt.Errorf("%w: no durable name", transport.ErrInvalid)
	}
	if err := c.Err(); err != nil {
		return err
	}
	ref := c.consumerOf(s)
	waiting, _, err := c.members(ctx, ref)
	if errors.Is(err, js.ErrConsumerNotFound) {
		return nil
	}
	if err == nil && waiting > 0 {
		return fmt.Errorf("%w: members of the group are listening on consumer %q: end those first", transport.ErrRefused, ref.name)
	}
	if err == nil || errors.Is(err, js.ErrNotPullConsumer) {
		_, err = request(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, ref.name)
		})
	}
	if err != nil && !errors.Is(err, js.ErrConsumerNotFound) {
		return c.explain(err)
	}
	return nil
}
