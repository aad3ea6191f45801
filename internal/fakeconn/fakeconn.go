// Package fakeconn is a transport for unit tests whose broker is the test: what is
// published waits until the test settles it, and the test delivers.
package fakeconn

import (
	"context"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// Conn implements transport.Conn. Its exported fields are set before it is used.
type Conn struct {
	Declared       transport.Features
	SubscribeError error
	// OnPublish, unless it is nil, is called instead of keeping the publish, with
	// what settles it.
	OnPublish func(m transport.Message, r transport.Receipt)
	// OnLeave, unless it is nil, is called when a subscription closes, and what it
	// returns is returned.
	OnLeave func(ctx context.Context) error
	// OnDelete, unless it is nil, is called by DeleteDurable, and what it returns is
	// returned.
	OnDelete func(ctx context.Context) error
	// OnPing, unless it is nil, is called by Ping, and what it returns is returned.
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

// Emit tells the client what happens to the connection.
func (c *Conn) Emit(e transport.Event) {
	if c.notify != nil {
		c.notify(e)
	}
}

// Features implements transport.Conn.
func (c *Conn) Features() transport.Features { return c.Declared }

// Publish implements transport.Conn. Data is copied, as a broker would.
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

// Abandon implements transport.Conn: what was kept is of unknown outcome.
func (c *Conn) Abandon(t transport.Ticket) { c.Settle(t, transport.ErrOutcomeUnknown) }

// Settle decides a publish; the first is ticket 1.
func (c *Conn) Settle(t transport.Ticket, err error) {
	c.mu.Lock()
	r, ok := c.receipts[t]
	delete(c.receipts, t)
	c.mu.Unlock()
	if ok {
		r.Done(err)
	}
}

// Published returns what was published so far.
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

// Subscriptions returns all subscriptions that were made.
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

// Deleted returns the durables that were deleted.
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

// Subscription implements transport.Subscription.
type Subscription struct {
	Config  transport.SubscribeConfig
	deliver func(transport.Delivery)
	onLeave func(ctx context.Context) error

	mu      sync.Mutex
	stopped bool
	done    chan struct{}
	err     error
}

// Deliver hands a delivery up and returns what records its settling.
func (s *Subscription) Deliver(d transport.Delivery) *Settled {
	settled := &Settled{}
	d.Subject = s.Config.Subject
	d.Settler = settled
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.deliver(d)
	}
	return settled
}

// Stop implements transport.Subscription.
func (s *Subscription) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// Close implements transport.Subscription.
func (s *Subscription) Close(ctx context.Context) error {
	s.Stop()
	s.end(transport.ErrClosed)
	if s.onLeave != nil {
		return s.onLeave(ctx)
	}
	return nil
}

func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// AckWait implements transport.Subscription.
func (s *Subscription) AckWait() time.Duration { return s.Config.AckWait }

// Done implements transport.Subscription.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Err implements transport.Subscription.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Settled records what a listener did with a delivery.
type Settled struct {
	mu       sync.Mutex
	acks     int
	naks     int
	released int
	err      error
	slow     time.Duration
}

// Fail makes what settles it fail with err, until it is called with nil.
func (s *Settled) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// SlowDown makes an acknowledgement take that long.
func (s *Settled) SlowDown(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = d
}

// Ack implements transport.Settler.
func (s *Settled) Ack() error {
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	if slow > 0 {
		<-time.After(slow)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.acks++
	return nil
}

// Nak implements transport.Settler.
func (s *Settled) Nak(time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.naks++
	return nil
}

// InProgress implements transport.Settler.
func (s *Settled) InProgress() error { return transport.ErrUnsupported }

// Term implements transport.Settler.
func (s *Settled) Term(string) error { return transport.ErrUnsupported }

// Release implements transport.Settler.
func (s *Settled) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released++
}

// Released returns how often it was released.
func (s *Settled) Released() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released
}

// Acks returns how often it was acknowledged.
func (s *Settled) Acks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks
}

// Naks returns how often it was given back.
func (s *Settled) Naks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.naks
}
