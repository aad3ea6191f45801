package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// conn implements transport.Conn. The broker's lock guards it.
type conn struct {
	broker   *Broker
	clientID string

	notify  func(transport.Event)
	outbox  *outbox.Outbox // the publishes whose answers a fault holds back
	done    chan struct{}
	err     error
	closing bool
}

func (c *conn) tell(kind transport.EventKind, err error) {
	if c.notify != nil {
		c.notify(transport.Event{Kind: kind, Time: time.Now(), Err: err})
	}
}

func (c *conn) Features() transport.Features { return c.broker.options.features }

func (c *conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	b := c.broker
	b.mu.Lock()
	ticket, err := b.publish(c, m, r)
	b.mu.Unlock()
	if ticket == 0 {
		r.Done(err)
	}
	return ticket
}

// publish stores m, or does what the faults say. The ticket is 0 if the publish is decided
// by err, and the connection's outbox has it otherwise.
func (b *Broker) publish(c *conn, m transport.Message, r transport.Receipt) (ticket transport.Ticket, err error) {
	switch {
	case c.err != nil:
		return 0, fmt.Errorf("%w: %w", transport.ErrNotStored, c.err)
	case c.closing:
		return 0, fmt.Errorf("%w: %w", transport.ErrNotStored, transport.ErrClosed)
	case len(m.Header) > 0 && !b.options.features.Headers:
		return 0, fmt.Errorf("%w: headers: %w", transport.ErrNotStored, transport.ErrUnsupported)
	case len(m.Data) > b.options.maxPayload && b.options.defect != acceptsOversize:
		return 0, fmt.Errorf("%w: %w: payload of %d bytes, the broker takes %d",
			transport.ErrNotStored, transport.ErrTooLarge, len(m.Data), b.options.maxPayload)
	}
	switch fault := b.faults.next(); fault.kind {
	case refusePublish:
		return 0, fmt.Errorf("%w: %w: on demand", transport.ErrNotStored, transport.ErrRefused)
	case losePublishAck:
		b.store(m)
		return c.keep(m, r)
	case delayPublish:
		return c.keepFor(fault.delay, m, r)
	case duplicatePublish:
		b.store(m)
		b.store(m)
		return 0, nil
	case noFault:
	}
	b.store(m)
	return 0, nil
}

// keep enters a publish whose answer is held back.
func (c *conn) keep(m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	ticket, err := c.outbox.Add(m, r)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", transport.ErrNotStored, err)
	}
	c.outbox.Written(c.send(), false)
	return ticket, nil
}

// keepFor is keep for a publish that is stored and answered after that time.
func (c *conn) keepFor(delay time.Duration, m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	ticket, err := c.keep(m, r)
	if err != nil {
		return 0, err
	}
	later := m
	later.Data = slices.Clone(m.Data)
	time.AfterFunc(delay, func() {
		c.broker.mu.Lock()
		outcome := c.outbox.Stored(ticket)
		if outcome.Decided() {
			c.broker.store(later)
		}
		c.broker.mu.Unlock()
		outcome.Tell()
	})
	return ticket, nil
}

// send returns what the outbox sends next, nil for nothing.
func (c *conn) send() *outbox.PendingPublish {
	p, _ := c.outbox.Next(time.Time{}) // a publish may always be sent again, so that Next decides none
	return p
}

// store stores m unless it has a message ID that was seen a short while ago.
func (b *Broker) store(m transport.Message) {
	if m.ID != "" && b.options.features.Deduplicate && b.options.defect != ignoresMessageID {
		if b.seen.saw(m.ID) {
			return
		}
	}
	if b.options.defect == losesHeaders {
		m.Header = nil
	}
	if b.options.defect == cutsPayloads && len(m.Data) > 1000 {
		m.Data = m.Data[:1000]
	}
	b.channel(m.Subject).store(m)
	for _, pattern := range b.channels {
		if pattern.takes(m.Subject) {
			pattern.store(m)
		}
	}
}

// Abandon implements transport.Conn.
func (c *conn) Abandon(t transport.Ticket) {
	c.broker.mu.Lock()
	outcome := c.outbox.Abandon(t)
	c.broker.mu.Unlock()
	outcome.Tell()
}

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
	if err := b.channel(s.Subject).join(sub); err != nil {
		return nil, err
	}
	return sub, nil
}

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
		g.disband()
	}
	return nil
}

func (c *conn) Ping(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.Err()
}

func (c *conn) Done() <-chan struct{} { return c.done }

func (c *conn) Err() error {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	return c.err
}

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
		c.tell(transport.Closed, nil)
	}
	return unfinished
}

// end ends the connection, its subscriptions and its publishes. It reports false if it
// ended before.
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
			g.leaveAll(c, err)
		}
	}
	b.mu.Unlock()
	for _, outcome := range abandoned {
		outcome.Because(err).Tell()
	}
	return true
}
