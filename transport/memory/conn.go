package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// conn implements [transport.Conn]. The broker's lock guards it.
type conn struct {
	broker   *Broker
	clientID string

	notify  func(transport.Event)
	outbox  *outbox.Outbox // the publishes whose answers a fault holds back
	done    chan struct{}
	err     error
	closing bool
}

// emit reports an event of the connection to its owner.
func (c *conn) emit(kind transport.EventKind, err error) {
	c.tell(transport.Event{Kind: kind, Time: time.Now(), Err: err})
}

func (c *conn) tell(e transport.Event) {
	if c.notify != nil {
		c.notify(e)
	}
}

// Features implements [transport.Conn].
func (c *conn) Features() transport.Features { return c.broker.options.features }

// Subscribe implements [transport.Conn].
func (c *conn) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := s.Validate(c.Features()); err != nil {
		return nil, err
	}
	b := c.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	sub := &subscription{conn: c, config: s, deliver: deliver, done: make(chan struct{})}
	if err := b.channel(s.Subject).addMember(sub); err != nil {
		return nil, err
	}
	return sub, nil
}

// DeleteDurable implements [transport.Conn].
func (c *conn) DeleteDurable(ctx context.Context, s transport.SubscribeConfig) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.Durable == "" {
		return fmt.Errorf("%w: no durable name", transport.ErrInvalid)
	}
	b := c.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	ch := b.channel(s.Subject)
	if g, ok := ch.groups[keyOf(c, s)]; ok && len(g.members) == 0 && b.options.defect != keepsDeletedDurable {
		g.remove()
	}
	return nil
}

// Ping implements [transport.Conn].
func (c *conn) Ping(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.Err()
}

// Done implements [transport.Conn].
func (c *conn) Done() <-chan struct{} { return c.done }

// Err implements [transport.Conn].
func (c *conn) Err() error {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	return c.err
}

// Close implements [transport.Conn].
func (c *conn) Close(ctx context.Context) error {
	b := c.broker
	b.mu.Lock()
	if c.closing {
		b.mu.Unlock()
		return nil
	}
	c.closing = true
	empty := c.outbox.Empty()
	b.mu.Unlock()
	unfinished := outbox.Drain(ctx, empty, func() *outbox.Left {
		b.mu.Lock()
		defer b.mu.Unlock()
		return c.outbox.Left()
	})
	if c.end(transport.ErrClosed) {
		c.emit(transport.Closed, nil)
	}
	return unfinished
}

// end ends the connection, its subscriptions and its publishes. It reports whether the
// connection had not ended before.
func (c *conn) end(err error) bool {
	b := c.broker
	b.mu.Lock()
	if c.err != nil {
		b.mu.Unlock()
		return false
	}
	c.err = err
	close(c.done)
	delete(b.conns, c)
	var abandoned []outbox.Outcome
	for _, t := range c.outbox.Tickets() {
		abandoned = append(abandoned, c.outbox.Abandon(t))
	}
	for _, ch := range b.channels {
		for _, g := range ch.groups {
			g.removeMembersOf(c, err)
		}
	}
	b.mu.Unlock()
	for _, outcome := range abandoned {
		outcome.Because(err).Tell()
	}
	return true
}
