package stan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/transport"
)

// Publish implements [transport.Conn].
func (c *conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	if err := c.refuse(m); err != nil {
		r.Settle(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	t, err := c.publishes.Add(r, struct{}{})
	if err != nil {
		r.Settle(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	// stan.go copies the data before PublishAsync returns.
	_, err = c.sc.PublishAsync(m.Subject, m.Data, func(_ string, err error) {
		c.publishes.Settle(t, answered(err))
	})
	if err != nil {
		c.publishes.Settle(t, notSent(err))
	}
	return t
}

// Abandon implements [transport.Conn]. The message has left for the server, or
// has been settled: Publish does not keep any back.
func (c *conn) Abandon(t transport.Ticket) {
	c.publishes.Settle(t, transport.ErrOutcomeUnknown)
}

// refuse returns why m can't be sent, before anything is.
func (c *conn) refuse(m transport.Message) error {
	if len(m.Header) > 0 {
		return fmt.Errorf("headers: %w", transport.ErrUnsupported)
	}
	// The limit of the NATS server is on what stan.go wraps the data in. What the
	// server wraps it in to deliver it is smaller.
	envelope := pb.PubMsg{ClientID: c.cfg.ClientID, Guid: guidLike, Subject: m.Subject, Data: m.Data, ConnID: []byte(guidLike)}
	size, limit := int64(envelope.Size()), c.nc.MaxPayload()
	if size <= limit {
		return nil
	}
	overhead := size - int64(len(m.Data))
	return fmt.Errorf("%w: payload of %d bytes, the server takes %d (its max_payload of %d, less %d for the protocol)",
		transport.ErrTooLarge, len(m.Data), limit-overhead, limit, overhead)
}

// guidLike has the length of the IDs that stan.go adds to each message.
const guidLike = "0123456789012345678901"

// answered says what the outcome of a publish that left means.
func answered(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, stan.ErrTimeout):
		return fmt.Errorf("%w: no confirmation from the server within %v: %w", transport.ErrOutcomeUnknown, pubAckWait, err)
	case errors.Is(err, stan.ErrConnectionClosed):
		return fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, err)
	}
	for _, r := range refusals {
		if strings.HasPrefix(err.Error(), r.text) {
			return fmt.Errorf("%w: %w: %w%s", transport.ErrNotStored, transport.ErrRefused, err, r.remedy)
		}
	}
	return fmt.Errorf("%w: the server answered with an error, and may have stored it or do so yet: %w", transport.ErrOutcomeUnknown, err)
}

// refusals are how the answers begin that the server gives before it stores a
// message. They are texts, since the protocol carries no code. In brackets is the
// function of nats-streaming-server that each comes from, on its way through
// sendPublishErr.
//
// All other answers may come from what began to store it: the store's own errors
// (ioLoop, on Msgs.Store), and in a cluster those of raft (ioLoop, on the futures
// of replicate), such as "leadership lost while committing log", after which the
// next leader may well commit the message.
var refusals = []struct{ text, remedy string }{
	{"stan: invalid publish request", ""}, // (processClientPublish)
	{"stan: channel is being deleted", "; it has been unused for as long as the server's limit says, and is made anew afterwards"}, // (lookupOrCreateChannel)
	{"rejecting channel ", ""}, // (channelStore.checkCase): its name differs from another's in upper and lower case alone
	{"too many channels", "; raise the server's limit of channels (-mc; 0 for none)"}, // (genericStore.canAddChannel)
}

// notSent says what an error of PublishAsync itself means.
func notSent(err error) error {
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return fmt.Errorf("%w: not connected to the NATS server: %w", transport.ErrNotStored, err)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return fmt.Errorf("%w: %w", transport.ErrNotStored, err)
	default:
		// stan.go reports a connection that closed during the call the same way
		// whether the message had left or not, and a failed write may have been partial.
		return fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, err)
	}
}
