package stan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/transport"
)

// Publish implements [transport.Conn]. The writer sends it: a write into a socket
// that takes nothing must not hold up the caller.
func (c *conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	if err := c.refuse(m); err != nil {
		r.Done(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	c.mu.Lock()
	t, err := c.machine.publish(m, r)
	c.mu.Unlock()
	if err != nil {
		r.Done(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	c.wake()
	return t
}

// Abandon implements [transport.Conn].
func (c *conn) Abandon(t transport.Ticket) {
	c.mu.Lock()
	r, outcome := c.machine.abandon(t)
	phase := c.machine.phase
	c.mu.Unlock()
	if r == nil {
		return
	}
	if errors.Is(outcome, transport.ErrNotStored) && phase != phaseUp {
		outcome = fmt.Errorf("%w: there was no connection to the streaming server", outcome)
	}
	r.Done(outcome)
}

// write sends what is due, until the connection is closed.
func (c *conn) write() {
	for range c.writer {
		for c.writeOne() {
		}
	}
}

// writeOne sends one publish, if there is one to send.
func (c *conn) writeOne() bool {
	c.mu.Lock()
	l := c.machine.next()
	if l == nil {
		c.mu.Unlock()
		return false
	}
	w, epoch, session, t := c.machine.wire, c.machine.epoch, c.machine.session, l.ticket
	c.mu.Unlock()

	err := w.publish(l.subject, l.data, t, epoch)

	c.mu.Lock() // and not step, whose function would cost memory for each publish
	receipt, unconnected, outcome := c.machine.written(l, epoch, err)
	effects := c.machine.take()
	c.mu.Unlock()
	for _, e := range effects {
		c.perform(e)
	}
	if receipt != nil {
		receipt.Done(outcome)
	}
	if unconnected {
		c.checkLink(session, w)
		return false
	}
	return true
}

func (c *conn) answered(t transport.Ticket, epoch uint64, err error) {
	if err != nil {
		c.unconfirmed(t, epoch, err)
		return
	}
	c.mu.Lock() // and not step, as above
	r, _ := c.machine.answered(t, epoch, nil)
	c.mu.Unlock()
	if r != nil {
		r.Done(nil)
	}
}

func (c *conn) unconfirmed(t transport.Ticket, epoch uint64, err error) {
	var r transport.Receipt
	var outcome error
	c.step(func(m *machine) { r, outcome = m.answered(t, epoch, err) })
	if r != nil {
		r.Done(outcome)
	}
}

// refuse returns why m can't be sent, before anything is.
func (c *conn) refuse(m transport.Message) error {
	if len(m.Header) > 0 {
		return fmt.Errorf("headers: %w", transport.ErrUnsupported)
	}
	// The limit of the NATS server is on what stan.go wraps the data in. What the
	// server wraps it in to deliver it is smaller.
	envelope := pb.PubMsg{ClientID: c.cfg.ClientID, Guid: guidLike, Subject: m.Subject, Data: m.Data, ConnID: []byte(guidLike)}
	size, limit := int64(envelope.Size()), c.maxPayload.Load()
	if size <= limit {
		return nil
	}
	overhead := size - int64(len(m.Data))
	return fmt.Errorf("%w: payload of %d bytes, the server takes %d (its max_payload of %d, less %d for the protocol)",
		transport.ErrTooLarge, len(m.Data), limit-overhead, limit, overhead)
}

// guidLike is as long as the connection's ID, and longer than the mark of a publish.
const guidLike = "0123456789012345678901"

// outcomeOf says what the server's answer to a publish means.
func outcomeOf(err error) error {
	if err == nil {
		return nil
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
	{invalidPublish, ""}, // (processClientPublish)
	{"stan: channel is being deleted", "; it has been unused for as long as the server's limit says, and is made anew afterwards"}, // (lookupOrCreateChannel)
	{"rejecting channel ", ""}, // (channelStore.checkCase): its name differs from another's in upper and lower case alone
	{"too many channels", "; raise the server's limit of channels (-mc; 0 for none)"}, // (genericStore.canAddChannel)
}

// invalidPublish is also the answer to a client that the server has given up
// (processClientPublish: the client is not known by that connection ID).
const invalidPublish = "stan: invalid publish request"

// isGivenUp reports whether the answer to a publish may mean that the server does not
// know the client any more. All else it refuses in these words was refused before the
// publish left.
func isGivenUp(err error) bool { return err != nil && strings.HasPrefix(err.Error(), invalidPublish) }

// notSent says what an error of sending one means. refused: nothing has
// left, since there is no connection. final: it never will. With any other error it
// may have left, in part or whole, over a connection that is going.
func notSent(err error) (refused bool, final error) {
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return true, nil
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return false, fmt.Errorf("%w: %w", transport.ErrNotStored, err)
	default:
		return false, nil
	}
}
