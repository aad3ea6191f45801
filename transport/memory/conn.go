package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/inflight"
)

// conn implements transport.Conn. The broker's lock guards it.
type conn struct {
	broker   *Broker
	clientID string

	last    transport.Ticket
	notify  func(transport.Event)
	waiting map[transport.Ticket]heldPublish
	done    chan struct{}
	err     error
	closing bool
}

// emit reports an event of the connection to its owner.
func (c *conn) emit(kind transport.EventKind, err error) {
	if c.notify != nil {
		c.notify(transport.Event{Kind: kind, Time: time.Now(), Err: err})
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
	n := len(c.waiting)
	b.mu.Unlock()
	var unfinished error
	if n > 0 {
		unfinished = c.flush(ctx)
	}
	if c.end(transport.ErrClosed) {
		c.emit(transport.Closed, nil)
	}
	return unfinished
}

// flush waits until the outcomes that faults hold back are reported, or ctx is done.
func (c *conn) flush(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		c.broker.mu.Lock()
		n := len(c.waiting)
		c.broker.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			var left inflight.Left
			c.broker.mu.Lock()
			for _, k := range c.waiting {
				left.Add(k.message.Subject)
			}
			c.broker.mu.Unlock()
			return fmt.Errorf("%v: %w", &left, context.Cause(ctx))
		}
	}
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
	tickets := make([]transport.Ticket, 0, len(c.waiting))
	for t := range c.waiting {
		tickets = append(tickets, t)
	}
	for _, ch := range b.channels {
		for _, g := range ch.groups {
			g.removeMembersOf(c, err)
		}
	}
	b.mu.Unlock()
	for _, t := range tickets {
		c.decide(t, fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, err))
	}
	return true
}
