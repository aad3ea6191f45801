// Package fakeconn is a transport for unit tests in which the test plays the broker: it
// decides what becomes of each publish, and delivers messages.
package fakeconn

import (
	"context"
	"sync"

	"github.com/sgtickets/common/transport"
)

// Conn implements transport.Conn. Set its exported fields before it is used.
type Conn struct {
	Declared       transport.Features
	SubscribeError error
	// OnPublish, unless it is nil, is called for each publish, and calls r.Done. If it is
	// nil, a publish waits for Settle.
	OnPublish func(m transport.Message, r transport.Receipt)
	// OnLeave, unless it is nil, is called by Subscription.Close, which returns its error.
	OnLeave func(ctx context.Context) error
	// OnDelete, unless it is nil, is called by DeleteDurable, which returns its error.
	OnDelete func(ctx context.Context) error
	// OnPing, unless it is nil, is called by Ping, which returns its error.
	OnPing func(ctx context.Context) error

	mu        sync.Mutex
	published []transport.Message
	receipts  map[transport.Ticket]transport.Receipt
	last      transport.Ticket
	subs      []*Subscription
	deleted   []transport.SubscribeConfig
	done      chan struct{}
	err       error
	notify    func(transport.Event)
}

// Dialer returns a dialer that always connects to c.
func (c *Conn) Dialer() transport.Dialer {
	c.done = make(chan struct{})
	c.receipts = make(map[transport.Ticket]transport.Receipt)
	return func(_ context.Context, cfg transport.Config) (transport.Conn, error) {
		c.notify = cfg.Notify
		return c, nil
	}
}

// Emit reports an event of the connection to its owner.
func (c *Conn) Emit(e transport.Event) {
	if c.notify != nil {
		c.notify(e)
	}
}

// Features implements transport.Conn.
func (c *Conn) Features() transport.Features { return c.Declared }

// Publish implements transport.Conn. It copies m.Data, as every transport must.
func (c *Conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	c.mu.Lock()
	m.Data = append([]byte(nil), m.Data...)
	c.published = append(c.published, m)
	c.last++
	ticket := c.last
	if c.OnPublish == nil {
		c.receipts[ticket] = r
	}
	c.mu.Unlock()
	if c.OnPublish != nil {
		c.OnPublish(m, r)
	}
	return ticket
}

// Abandon implements transport.Conn: it settles the publish with ErrOutcomeUnknown.
func (c *Conn) Abandon(t transport.Ticket) { c.Settle(t, transport.ErrOutcomeUnknown) }

// Settle reports the outcome of a publish that waits. The first publish has ticket 1.
func (c *Conn) Settle(t transport.Ticket, err error) {
	c.mu.Lock()
	r, ok := c.receipts[t]
	delete(c.receipts, t)
	c.mu.Unlock()
	if ok {
		r.Done(err)
	}
}

// Published returns the messages that were published so far.
func (c *Conn) Published() []transport.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]transport.Message(nil), c.published...)
}

// Subscribe implements transport.Conn.
func (c *Conn) Subscribe(_ context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if c.SubscribeError != nil {
		return nil, c.SubscribeError
	}
	sub := &Subscription{Config: s, deliver: deliver, onLeave: c.OnLeave, done: make(chan struct{})}
	c.mu.Lock()
	c.subs = append(c.subs, sub)
	c.mu.Unlock()
	return sub, nil
}

// Subscriptions returns all subscriptions that were made, closed ones included.
func (c *Conn) Subscriptions() []*Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Subscription(nil), c.subs...)
}

// DeleteDurable implements transport.Conn.
func (c *Conn) DeleteDurable(ctx context.Context, s transport.SubscribeConfig) error {
	c.mu.Lock()
	c.deleted = append(c.deleted, s)
	c.mu.Unlock()
	if c.OnDelete != nil {
		return c.OnDelete(ctx)
	}
	return nil
}

// Deleted returns the arguments of the calls of DeleteDurable.
func (c *Conn) Deleted() []transport.SubscribeConfig {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]transport.SubscribeConfig(nil), c.deleted...)
}

// Ping implements transport.Conn.
func (c *Conn) Ping(ctx context.Context) error {
	if c.OnPing != nil {
		return c.OnPing(ctx)
	}
	return c.Err()
}

// Done implements transport.Conn.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err implements transport.Conn.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close implements transport.Conn.
func (c *Conn) Close(context.Context) error {
	c.End(transport.ErrClosed)
	return nil
}

// End ends the connection and its subscriptions.
func (c *Conn) End(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	for _, s := range c.subs {
		s.end(err)
	}
}
