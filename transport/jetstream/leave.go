package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream/internal/consuming"
)

// leaveWait is how long the end of a subscription waits for a link that is away, if there are
// acknowledgements to be sent.
const leaveWait = time.Second

// answerAgain sends again what may have gone down with the link, for a subscription that has
// stopped. It waits at most leaveWait for the link.
func (s *subscription) answerAgain(ctx context.Context) {
	s.mu.Lock()
	needed := s.machine.Unanswered()
	s.mu.Unlock()
	if !needed {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveWait)
	defer cancel()
	if info, err := s.lookUpConsumer(ctx); err == nil {
		s.step(func(m *consuming.Machine, now time.Time) { m.AnswerAgain(now, infoOf(info)) })
	}
}

// leave tells the server that the subscription has ended. The last member deletes a
// consumer that has no durable name.
func (s *subscription) leave(ctx context.Context) error {
	c := s.conn
	if !s.consumer.durable && !c.options.bindOnly && !s.needed(ctx) {
		// If it can't be deleted, the server does so itself after a while.
		_, _ = requestOnce(ctx, c, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, s.consumer.name)
		})
	}
	flush := func(ctx context.Context) (struct{}, error) { return struct{}{}, c.nc.FlushWithContext(ctx) }
	_, err := requestOnce(ctx, c, flush)
	if isAway(err) { // and so may be what was acknowledged last
		s.step(func(m *consuming.Machine, _ time.Time) { m.NotAnswered() })
		s.answerAgain(ctx)
		_, err = requestOnce(ctx, c, flush)
	}
	return err
}

// needed reports whether other members wait for events, or have some. A member
// at MaxInFlight has no waiting pull request.
func (s *subscription) needed(ctx context.Context) bool {
	if !s.consumer.shared {
		return false
	}
	for range 10 {
		// A connection that is away is not waited for: the end should not take that long.
		consumer, err := requestOnce(ctx, s.conn, s.conn.consumerNamed(s.consumer.name))
		if err != nil || consumer.CachedInfo().NumWaiting > 0 {
			return true
		}
		if consumer.CachedInfo().NumAckPending == 0 {
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

// consumerNamed returns the call that asks for a consumer. Of its state two numbers tell of
// the members: how many requests for events wait at the server, those of the members that
// listen, and how many events are not acknowledged.
func (c *conn) consumerNamed(name string) func(context.Context) (js.Consumer, error) {
	return func(ctx context.Context) (js.Consumer, error) { return c.js.Consumer(ctx, c.cfg.ClusterID, name) }
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
	consumer, err := request(ctx, c, c.consumerNamed(ref.name))
	if errors.Is(err, js.ErrConsumerNotFound) {
		return nil
	}
	if err == nil && consumer.CachedInfo().NumWaiting > 0 {
		return fmt.Errorf("%w: members of the group are listening on consumer %q: end those first", transport.ErrRefused, ref.name)
	}
	if err == nil || errors.Is(err, js.ErrNotPullConsumer) {
		_, err = request(ctx, c, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.js.DeleteConsumer(ctx, c.cfg.ClusterID, ref.name)
		})
	}
	if err != nil && !errors.Is(err, js.ErrConsumerNotFound) {
		return c.explain(err)
	}
	return nil
}
