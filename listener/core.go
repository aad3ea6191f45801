package listener

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// typed is what the core needs to know of the event's type.
type typed struct {
	decode  func(data []byte) (event any, err error)
	handle  func(ctx context.Context, event any, d Delivery) error
	key     func(event any) (string, error) // nil: no ordering key
	release func(event any)                 // the event is not used any more
}

// core is a listener without its type.
type core struct {
	session *session.Session
	subject subjects.Subject
	group   string
	options options
	typed   typed
	log     *slog.Logger
	remedy  string // where events are stuck

	mu    sync.Mutex
	busy  error         // what it is doing: why it can't do anything else; nil: nothing
	ready chan struct{} // closed once subscribed; a new one for each Listen
}

func (c *core) subscribeConfig() transport.SubscribeConfig {
	return transport.SubscribeConfig{
		Subject: string(c.subject), Durable: c.options.durable, Group: c.group,
		Start: c.options.start, AckWait: c.options.ackWait, MaxInFlight: c.options.maxInFlight,
	}
}

func (c *core) fail(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Subject: c.subject, Group: c.group, Err: err}
}

// claim makes sure that one thing happens at a time: one Listen, or one deletion.
// busy is what others are told meanwhile.
func (c *core) claim(busy error) (release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy != nil {
		return nil, c.busy
	}
	c.busy = busy
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy = nil
		select {
		case <-c.ready:
			c.ready = make(chan struct{})
		default:
		}
	}, nil
}

// listen runs until ctx is done, the client closes or the connection is lost.
func (c *core) listen(ctx context.Context) (err error) {
	release, err := c.claim(ErrListening)
	if err != nil {
		return err
	}
	defer release()

	// Client.Close ends Listen like ctx does; its own context may cut the drain short.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	draining, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	over := make(chan struct{})
	defer close(over)
	member := &session.Drainer{Drain: func(closing context.Context) error {
		stop()
		select {
		case <-over:
		case <-closing.Done():
			cut(await.Cause(closing))
			<-over
		}
		return c.fail(err)
	}}
	if err := c.session.AddDrainer(member); err != nil {
		return err
	}
	defer c.session.RemoveDrainer(member)

	r := newRun(ctx, c)
	defer r.cancel()
	sub, err := c.subscribe(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			err = nil // no need for one any more
		}
		// The server may have taken it all the same, and delivered.
		draining, cancel := context.WithTimeout(draining, c.options.drainTimeout)
		defer cancel()
		return errors.Join(err, r.drain(draining))
	}
	r.appliesAckWait(sub.AckWait())
	close(c.ready)
	c.log.Info("listening", slog.String("durable", c.options.durable),
		slog.Duration("ack_wait", sub.AckWait()), slog.Int("max_in_flight", c.options.maxInFlight))

	var lost error
	select {
	case <-ctx.Done():
	case <-sub.Done():
		if err := sub.Err(); !errors.Is(err, transport.ErrClosed) {
			lost = err
		}
	}
	return errors.Join(lost, c.leave(draining, r, sub))
}

// subscribe returns with ctx. What the server takes later is closed again.
func (c *core) subscribe(ctx context.Context, r *run) (transport.Subscription, error) {
	config := c.subscribeConfig()
	config.Room = r.room
	config.Interrupted = r.interrupted
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

const (
	// leaveTimeout is how long the server may take to confirm the end of a
	// subscription: a little more than the transport waits for it.
	leaveTimeout = 2500 * time.Millisecond

	// farewell is what it has of that when the drain has used up its time: the server is
	// told, whether it confirms that or not.
	farewell = 50 * time.Millisecond

	// stopTimeout is how long ending the intake may hold up the drain.
	stopTimeout = 100 * time.Millisecond
)

// leave drains the run and closes the subscription, both within the drain timeout. The
// server is told in any case, since it would go on delivering to the member that has left.
func (c *core) leave(ctx context.Context, r *run, sub transport.Subscription) error {
	deadline := time.Now().Add(c.options.drainTimeout)
	draining, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	// nats.go may hold Stop up while it dials. The book takes nothing in either, and
	// Close stops once more.
	stopping, cancel := context.WithTimeout(draining, stopTimeout)
	defer cancel()
	_, _ = await.Do(stopping, func() (struct{}, error) { sub.Stop(); return struct{}{}, nil }, nil)
	unfinished := r.drain(draining)
	leaving, cancel := context.WithTimeout(ctx, min(leaveTimeout, max(farewell, time.Until(deadline))))
	defer cancel()
	err := await.WithGrace(leaving, sub.Close)
	c.log.Info("listening ended")
	return errors.Join(unfinished, err)
}
