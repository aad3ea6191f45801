package stan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
)

// Subscribe implements [transport.Conn].
func (c *conn) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if err := validateSubscription(s); err != nil {
		return nil, err
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, await.Ended(ctx)
	}
	sub := &subscription{Ending: lifecycle.NewEnding(), conn: c, ackWait: s.AckWait}
	handler := func(m *stan.Msg) {
		sub.intake.Lock()
		defer sub.intake.Unlock()
		if !sub.stopped {
			deliver(delivery(m))
		}
	}
	inner, err := c.subscribe(ctx, s, handler, stan.Subscription.Close)
	if err != nil {
		return nil, err
	}
	sub.inner = inner
	c.Enter(sub.Ending)
	return sub, nil
}

// subscribe makes the subscription on the server. One that is confirmed when ctx
// is done already is left by leave.
func (c *conn) subscribe(
	ctx context.Context, s transport.SubscribeConfig, handler stan.MsgHandler, leave func(stan.Subscription) error,
) (stan.Subscription, error) {
	opts := []stan.SubscriptionOption{
		stan.SetManualAckMode(),
		stan.AckWait(s.AckWait),
		stan.MaxInflight(s.MaxInFlight),
		startAt(s.Start),
	}
	if s.Durable != "" {
		opts = append(opts, stan.DurableName(s.Durable))
	}
	inner, err := await.Do(ctx, func() (stan.Subscription, error) {
		if s.Group != "" {
			return c.sc.QueueSubscribe(s.Subject, s.Group, handler, opts...)
		}
		return c.sc.Subscribe(s.Subject, handler, opts...)
	}, func(late stan.Subscription) { _ = leave(late) })
	if err != nil {
		return nil, explainSubscribe(err)
	}
	return inner, nil
}

func explainSubscribe(err error) error {
	switch {
	case err.Error() == "stan: duplicate durable registration":
		return fmt.Errorf("%w: another subscription of this client holds the durable; close that one, or give this one another durable name: %w", transport.ErrRefused, err)
	case errors.Is(err, stan.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionClosed):
		return fmt.Errorf("%w: %w", transport.ErrConnectionLost, err)
	case errors.Is(err, stan.ErrSubReqTimeout),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the server did not confirm the subscription: %w", err)
	default:
		return fmt.Errorf("%w: %w", transport.ErrRefused, err)
	}
}

func validateSubscription(s transport.SubscribeConfig) error {
	if err := s.Start.Validate(); err != nil {
		return err
	}
	if s.AckWait < time.Second || s.AckWait%time.Second != 0 || s.AckWait/time.Second > math.MaxInt32 {
		return fmt.Errorf("%w ack wait %v: the protocol of NATS Streaming carries whole seconds, 1 to %d", transport.ErrInvalid, s.AckWait, math.MaxInt32)
	}
	if s.MaxInFlight < 1 {
		return fmt.Errorf("%w max in flight %d: must be at least 1", transport.ErrInvalid, s.MaxInFlight)
	}
	return nil
}

func startAt(p transport.Position) stan.SubscriptionOption {
	switch p.Kind() {
	case transport.StartNewOnly:
		return stan.StartAt(pb.StartPosition_NewOnly)
	case transport.StartLastReceived:
		return stan.StartWithLastReceived()
	case transport.StartSequence:
		return stan.StartAtSequence(p.Sequence())
	case transport.StartTime, transport.StartAgo:
		// The protocol carries how long ago that is, and the server counts back from
		// when the request reaches it: what was stored right after the moment asked
		// for would be skipped. A request takes at most requestWait.
		return stan.StartAtTime(p.Time(time.Now()).Add(-requestWait))
	default:
		return stan.DeliverAllAvailable()
	}
}

func delivery(m *stan.Msg) transport.Delivery {
	return transport.Delivery{
		Subject:     m.Subject,
		Sequence:    m.Sequence,
		Timestamp:   time.Unix(0, m.Timestamp),
		Redelivered: m.Redelivered,
		Deliveries:  int(m.RedeliveryCount) + 1, // the server counts from its own start
		Data:        m.Data,
		Settler:     (*settler)(m),
	}
}

// settler is the message itself, so that a delivery costs no allocation more.
type settler stan.Msg

func (s *settler) Ack() error {
	switch err := (*stan.Msg)(s).Ack(); {
	case err == nil:
		return nil
	case errors.Is(err, stan.ErrBadSubscription), errors.Is(err, stan.ErrBadConnection):
		return transport.ErrSubscriptionClosed
	default:
		return fmt.Errorf("acknowledgement not sent: %w", err)
	}
}

func (*settler) Nak(time.Duration) error { return transport.ErrUnsupported }
func (*settler) InProgress() error       { return transport.ErrUnsupported }
func (*settler) Term(string) error       { return transport.ErrUnsupported }

// subscription implements [transport.Subscription].
type subscription struct {
	*lifecycle.Ending

	conn    *conn
	inner   stan.Subscription
	ackWait time.Duration

	intake  sync.Mutex // held while a message is handed up
	stopped bool
}

// AckWait is what was asked for: the server lets each member have its own.
func (s *subscription) AckWait() time.Duration { return s.ackWait }

func (s *subscription) Stop() {
	s.intake.Lock()
	s.stopped = true
	s.intake.Unlock()
}

func (s *subscription) Close(ctx context.Context) error {
	s.Stop()
	if !s.Finish(transport.ErrClosed) {
		return nil // it was closed before, or lost with its connection
	}
	s.conn.Leave(s.Ending)
	// The acknowledgements are in the same buffer as the close request that
	// follows them, and the server takes them in before it carries that out (its
	// StanServer.barrier).
	_, err := await.Do(ctx, func() (struct{}, error) { return struct{}{}, s.inner.Close() }, nil)
	if err != nil && s.conn.Err() == nil {
		return fmt.Errorf("the server did not confirm the end of the subscription and may deliver to it for a while: %w", err)
	}
	return nil
}
