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
	waiting map[transport.Ticket]kept // publishes that a fault keeps
	done    chan struct{}
	err     error
	closing bool
}

// kept is a publish that nobody has been told the outcome of.
type kept struct {
	message transport.Message
	receipt transport.Receipt
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
	c.last++
	ticket := c.last
	settle, err := b.publish(c, m, r, ticket)
	b.mu.Unlock()
	if settle {
		r.Done(err)
	}
	return ticket
}

// publish stores m, or does what the faults say. It reports whether the receipt is
// to be settled now.
func (b *Broker) publish(c *conn, m transport.Message, r transport.Receipt, ticket transport.Ticket) (settle bool, err error) {
	switch {
	case c.err != nil:
		return true, fmt.Errorf("%w: %w", transport.ErrNotStored, c.err)
	case c.closing:
		return true, fmt.Errorf("%w: %w", transport.ErrNotStored, transport.ErrClosed)
	case len(m.Header) > 0 && !b.options.features.Headers:
		return true, fmt.Errorf("%w: headers: %w", transport.ErrNotStored, transport.ErrUnsupported)
	case len(m.Data) > b.options.maxPayload && b.options.defect != acceptsOversize:
		return true, fmt.Errorf("%w: %w: payload of %d bytes, the broker takes %d",
			transport.ErrNotStored, transport.ErrTooLarge, len(m.Data), b.options.maxPayload)
	}
	switch fault := b.faults.next(); fault.kind {
	case refusePublish:
		return true, fmt.Errorf("%w: %w: on demand", transport.ErrNotStored, transport.ErrRefused)
	case losePublishAck:
		b.store(m)
		c.keep(ticket, m, r)
		return false, nil
	case delayPublish:
		m = c.keep(ticket, m, r)
		time.AfterFunc(fault.delay, func() {
			b.mu.Lock()
			_, waits := c.waiting[ticket]
			if waits {
				b.store(m)
			}
			b.mu.Unlock()
			c.settle(ticket, nil)
		})
		return false, nil
	case duplicatePublish:
		b.store(m)
		b.store(m)
		return true, nil
	case noFault:
	}
	b.store(m)
	return true, nil
}

// keep holds a publish back, with a copy of its data.
func (c *conn) keep(t transport.Ticket, m transport.Message, r transport.Receipt) transport.Message {
	m.Data = append([]byte(nil), m.Data...)
	c.waiting[t] = kept{m, r}
	return m
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

func (c *conn) Abandon(t transport.Ticket) { c.settle(t, transport.ErrOutcomeUnknown) }

func (c *conn) settle(t transport.Ticket, err error) {
	c.broker.mu.Lock()
	k, ok := c.waiting[t]
	delete(c.waiting, t)
	c.broker.mu.Unlock()
	if ok {
		k.receipt.Done(err)
	}
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
	n := len(c.waiting)
	b.mu.Unlock()
	var unfinished error
	if n > 0 {
		unfinished = c.flush(ctx)
	}
	if c.end(transport.ErrClosed) {
		c.tell(transport.Closed, nil)
	}
	return unfinished
}

// flush waits for the publishes that faults keep.
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
	tickets := make([]transport.Ticket, 0, len(c.waiting))
	for t := range c.waiting {
		tickets = append(tickets, t)
	}
	for _, ch := range b.channels {
		for _, g := range ch.groups {
			g.leaveAll(c, err)
		}
	}
	b.mu.Unlock()
	for _, t := range tickets {
		c.settle(t, fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, err))
	}
	return true
}
