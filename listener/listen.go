package listener

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

const (
	// leaveTimeout is how long the server may take to confirm the end of a
	// subscription: a little more than the transport waits for it.
	leaveTimeout = 2500 * time.Millisecond

	// minLeaveTimeout is what is left of that when the drain has used up its time: the
	// server is told, whether it confirms that or not.
	minLeaveTimeout = 50 * time.Millisecond

	// stopTimeout is how long ending the intake may hold up the drain.
	stopTimeout = 100 * time.Millisecond
)

// listen runs until ctx is done, the client closes or the connection is lost.
func (c *core) listen(ctx context.Context) (err error) {
	if ctx == nil {
		return errNoContext
	}
	done, err := c.claim(ErrListening)
	if err != nil {
		return err
	}
	defer done()
	leaveGroup, err := c.session.JoinGroup(c.subscribeConfig(), c.events)
	if err != nil {
		return err
	}
	defer leaveGroup()

	// Client.Close ends Listen like ctx does; its own context may cut the drain short.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	draining, cutShort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutShort(nil)
	ended := make(chan struct{})
	defer close(ended)
	drainer := &session.Drainer{Drain: func(closing context.Context) error {
		stop()
		select {
		case <-ended:
		case <-closing.Done():
			cutShort(await.Cause(closing))
			<-ended
		}
		return c.fail(err)
	}}
	if err := c.session.AddDrainer(drainer); err != nil {
		return err
	}
	defer c.session.RemoveDrainer(drainer)

	r := newRunner(ctx, c)
	defer r.endHandlers()
	r.beginReading()
	defer r.endReading()
	sub, err := c.subscribe(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			err = nil // no need for a subscription any more
		}
		// The server may have taken it all the same, and delivered.
		draining, cancel := context.WithTimeout(draining, c.options.drainTimeout)
		defer cancel()
		return errors.Join(err, r.drain(draining))
	}
	r.subscribed(sub)
	close(c.ready)
	c.log.Info("listening", slog.String("durable", c.options.durable),
		slog.Duration("ack_wait", sub.AckWait()), slog.Int("max_in_flight", c.options.maxInFlight))

	var lost error
	select {
	case <-ctx.Done():
	case lost = <-r.undecodable.stop:
	case <-sub.Done():
		if err := sub.Err(); !errors.Is(err, transport.ErrClosed) {
			lost = err
		}
	}
	return errors.Join(lost, c.leave(draining, r, sub))
}

// subscribe returns with ctx. A subscription that the server confirms later is closed
// again.
func (c *core) subscribe(ctx context.Context, r *runner) (transport.Subscription, error) {
	config := c.subscribeConfig()
	config.Room, config.Startable = r.room, r.startable
	config.Interrupted, config.AckWaitChanged = r.interrupted, r.ackWaitChanged
	return await.DoWithGrace(ctx, func(ctx context.Context) (transport.Subscription, error) {
		if err := c.checkDeadLetters(ctx); err != nil {
			return nil, err
		}
		return c.session.Conn.Subscribe(ctx, config, r.deliver)
	}, func(late transport.Subscription) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		_ = late.Close(ctx) // its client may have ended, too
	})
}

// leave drains the runner and closes the subscription, both within the drain timeout. The
// server is told in any case, since it would go on delivering to the member that has left.
func (c *core) leave(ctx context.Context, r *runner, sub transport.Subscription) error {
	deadline := time.Now().Add(c.options.drainTimeout)
	draining, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	// nats.go may hold Stop up while it dials. The scheduler takes nothing in either, and
	// Close stops once more.
	stopping, cancel := context.WithTimeout(draining, stopTimeout)
	defer cancel()
	_, _ = await.Do(stopping, func() (struct{}, error) { sub.Stop(); return struct{}{}, nil }, nil)
	unfinished := r.drain(draining)
	leaving, cancel := context.WithTimeout(ctx, min(leaveTimeout, max(minLeaveTimeout, time.Until(deadline))))
	defer cancel()
	err := await.WithGrace(leaving, sub.Close)
	c.log.Info("listening ended")
	return errors.Join(unfinished, err)
}
