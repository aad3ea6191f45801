package memory

import (
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// Publish implements [transport.Conn].
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

// publish stores m, or does what the next fault says. The ticket is 0 if err is the outcome.
// Otherwise the publish is in the connection's outbox, and has no outcome yet.
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
	case covers(b.forbidden.publishes, m.Subject):
		return 0, fmt.Errorf("%w: %w: to publish to %q, on demand; (*memory.Broker).AllowAll ends it", transport.ErrNotStored, transport.ErrForbidden, m.Subject)
	}
	switch fault := b.faults.next(); fault.kind {
	case refusePublish:
		return 0, fmt.Errorf("%w: %w: on demand", transport.ErrNotStored, transport.ErrRefused)
	case losePublishAck:
		b.store(m)
		return c.hold(m, r)
	case delayPublish:
		return c.holdFor(fault.delay, m, r)
	case duplicatePublish:
		b.store(m)
		b.store(m)
		return 0, nil
	case noFault:
	}
	b.store(m)
	return 0, nil
}

// hold adds a publish to the outbox whose outcome a fault holds back.
func (c *conn) hold(m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	ticket, err := c.outbox.Add(m, r)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", transport.ErrNotStored, err)
	}
	c.outbox.Written(c.send(), false)
	return ticket, nil
}

// holdFor is hold for a publish that is stored, and has its outcome, after the delay.
func (c *conn) holdFor(delay time.Duration, m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	ticket, err := c.hold(m, r)
	if err != nil {
		return 0, err
	}
	later := m
	later.Data = slices.Clone(m.Data)
	time.AfterFunc(delay, func() {
		c.broker.mu.Lock()
		outcome := c.outbox.Stored(ticket, 1)
		if outcome.Decided() {
			c.broker.store(later)
		}
		c.broker.mu.Unlock()
		outcome.Tell()
	})
	return ticket, nil
}

// send takes the next publish to send from the outbox, nil if there is none.
func (c *conn) send() *outbox.PendingPublish {
	p, _ := c.outbox.Next(time.Time{}) // a publish may always be sent again, so that Next decides none
	return p
}

// store stores m, in the channel of its subject and in those of the patterns that cover
// it, unless deduplication recognises its message ID.
func (b *Broker) store(m transport.Message) {
	if m.ID != "" && b.options.features.Deduplicate && b.options.defect != ignoresMessageID {
		if b.seen.seenBefore(m.ID) {
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
		if pattern.matches(m.Subject) {
			pattern.store(m)
		}
	}
}

// Abandon implements [transport.Conn].
func (c *conn) Abandon(t transport.Ticket) {
	c.broker.mu.Lock()
	outcome := c.outbox.Abandon(t)
	c.broker.mu.Unlock()
	outcome.Tell()
}
