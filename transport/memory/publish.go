package memory

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

// heldPublish is a publish whose outcome a fault holds back.
type heldPublish struct {
	message transport.Message
	receipt transport.Receipt
}

// Publish implements [transport.Conn].
func (c *conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	b := c.broker
	b.mu.Lock()
	c.last++
	ticket := c.last
	decided, err := b.publish(c, m, r, ticket)
	b.mu.Unlock()
	if decided {
		r.Done(err)
	}
	return ticket
}

// publish stores m, or does what the next fault says. It reports whether the outcome,
// which it returns, is known now.
func (b *Broker) publish(c *conn, m transport.Message, r transport.Receipt, ticket transport.Ticket) (decided bool, err error) {
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
		c.hold(ticket, m, r)
		return false, nil
	case delayPublish:
		m = c.hold(ticket, m, r)
		time.AfterFunc(fault.delay, func() {
			b.mu.Lock()
			_, waits := c.waiting[ticket]
			if waits {
				b.store(m)
			}
			b.mu.Unlock()
			c.decide(ticket, nil)
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

// hold holds the outcome of a publish back. It returns the message with a copy of its
// data.
func (c *conn) hold(t transport.Ticket, m transport.Message, r transport.Receipt) transport.Message {
	m.Data = append([]byte(nil), m.Data...)
	c.waiting[t] = heldPublish{m, r}
	return m
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
func (c *conn) Abandon(t transport.Ticket) { c.decide(t, transport.ErrOutcomeUnknown) }

// decide reports the outcome of a publish that is held back. It does nothing if the
// outcome was reported before.
func (c *conn) decide(t transport.Ticket, err error) {
	c.broker.mu.Lock()
	held, ok := c.waiting[t]
	delete(c.waiting, t)
	c.broker.mu.Unlock()
	if ok {
		held.receipt.Done(err)
	}
}
