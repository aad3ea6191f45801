package jetstream

import (
	"fmt"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

// Publish implements [transport.Conn]. The sender's writer sends it.
func (c *conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	m.Header = transport.Header(c.header(m))
	if err := c.refuse(m); err != nil {
		r.Done(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	t, err := c.sender.publish(m, r)
	if err != nil {
		r.Done(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	return t
}

// Abandon implements [transport.Conn].
func (c *conn) Abandon(t transport.Ticket) { c.becauseForeign(t, c.sender.abandon(t)).Tell() }

// header returns the headers of m, with what the stream is to check: that it is this
// stream, and that it has not stored the message before.
func (c *conn) header(m transport.Message) nats.Header {
	h := nats.Header(m.Header)
	if h == nil {
		h = make(nats.Header, 2)
	}
	h[js.ExpectedStreamHeader] = c.expected
	if m.ID != "" {
		h[js.MsgIDHeader] = []string{m.ID}
	}
	return h
}

// refuse returns why m can't be sent, before anything is. Headers are measured only
// where the payload leaves them little room: it takes as long as to write them, and
// nats.go does so when it sends.
func (c *conn) refuse(m transport.Message) error {
	limit := c.sender.maxPayload.Load()
	if int64(len(m.Data)) <= limit/2 {
		return nil
	}
	return tooLarge(&nats.Msg{Subject: m.Subject, Header: nats.Header(m.Header), Data: m.Data}, limit)
}

// tooLarge returns an error if m is larger than the server takes.
func tooLarge(m *nats.Msg, limit int64) error {
	size := int64(m.Size() - len(m.Subject) - len(m.Reply))
	if size <= limit {
		return nil
	}
	return fmt.Errorf("%w: payload of %d bytes and %d of headers, the server takes %d (its max_payload)",
		transport.ErrTooLarge, len(m.Data), size-int64(len(m.Data)), limit)
}
