package stan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go/pb"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// Publish implements [transport.Conn]. The goroutine of write sends m: a write into a socket
// that takes nothing must not hold up the caller.
func (c *conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	if err := c.refuse(m); err != nil {
		r.Done(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	c.mu.Lock()
	t, err := c.supervisor.publish(m, r)
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
	outcome := c.supervisor.abandon(t)
	phase, check := c.supervisor.phase, c.supervisor.outbox.CheckDue()
	c.mu.Unlock()
	if check {
		c.wake()
	}
	if phase != phaseUp && errors.Is(outcome.Err(), transport.ErrNotStored) {
		outcome = outcome.Because(errNoConnection)
	}
	outcome.Tell()
}

var errNoConnection = errors.New("there was no connection to the streaming server")

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
	if c.supervisor.outbox.CheckDue() {
		session, epoch := c.supervisor.session, c.supervisor.epoch
		c.mu.Unlock()
		c.checkRefusals(session, epoch)
		return true
	}
	p := c.supervisor.next()
	if p == nil {
		c.mu.Unlock()
		return false
	}
	session, epoch, sessionNo, ticket, attempt := c.supervisor.session, c.supervisor.epoch, c.supervisor.sessionNo, p.Ticket(), p.Attempt()
	c.mu.Unlock()

	err := session.publish(p.Message.Subject, p.Message.Data, ticket, attempt)
	if errors.Is(err, nats.ErrMaxPayload) { // the limit was larger when the publish was taken in
		c.maxPayload.Store(session.maxPayload())
		if refused := c.refuse(p.Message); refused != nil {
			err = fmt.Errorf("%w: %w", refused, err)
		}
	}

	c.mu.Lock()
	outcome, unconnected := c.supervisor.onWritten(p, epoch, err)
	effects := len(c.supervisor.effects)
	c.mu.Unlock()
	outcome.Tell()
	if effects > 0 {
		c.step(func(*supervisor) {})
	}
	if unconnected {
		c.checkLink(sessionNo, session)
		return false
	}
	return true
}

// answered takes in the server's answer to one attempt to publish.
func (c *conn) answered(t transport.Ticket, attempt outbox.Attempt, err error) {
	var outcome outbox.Outcome
	if err == nil {
		c.mu.Lock() // and not step, whose function would cost memory for each publish
		outcome = c.supervisor.onAnswered(t, attempt, nil)
		effects := len(c.supervisor.effects)
		c.mu.Unlock()
		if effects > 0 {
			c.step(func(*supervisor) {})
		}
	} else {
		outcome = c.answeredWithError(t, attempt, err)
	}
	outcome.Tell()
}

func (c *conn) answeredWithError(t transport.Ticket, attempt outbox.Attempt, err error) (outcome outbox.Outcome) {
	c.step(func(sup *supervisor) { outcome = sup.onAnswered(t, attempt, err) })
	return outcome
}

// noteMaxPayload takes in the limit of the server connected to.
func (c *conn) noteMaxPayload() {
	c.mu.Lock()
	session := c.supervisor.session
	c.mu.Unlock()
	if session != nil {
		c.maxPayload.Store(session.maxPayload())
	}
}

// refuse returns an error if m can't be sent at all.
func (c *conn) refuse(m transport.Message) error {
	if len(m.Header) > 0 {
		return fmt.Errorf("headers: %w", transport.ErrUnsupported)
	}
	if err := c.refuseUnconfirmable(); err != nil {
		return err
	}
	// The NATS server limits the size of the data together with the envelope around it. The
	// envelope of a delivery is smaller, so that what can be stored can be delivered.
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

// explainAnswer says what the server's error for a publish means, and whether it means that
// the publish is not stored.
func explainAnswer(err error) (notStored bool, cause error) {
	for _, r := range refusals {
		if strings.HasPrefix(err.Error(), r.text) {
			return true, fmt.Errorf("%w: %w%s", transport.ErrRefused, err, r.remedy)
		}
	}
	return false, fmt.Errorf("the server answered with an error, and may have stored it or do so yet: %w", err)
}

// refusals are the beginnings of the errors that the server answers before it stores a
// message. They are texts, since the protocol carries no code. In brackets is the function
// of nats-streaming-server that makes the error; sendPublishErr sends it.
//
// The server may answer any other error after it has begun to store the message: an error of
// the store (ioLoop, on Msgs.Store), or in a cluster one of raft (ioLoop, on the futures of
// replicate), such as "leadership lost while committing log", after which the next leader may
// well commit the message.
var refusals = []struct{ text, remedy string }{
	{invalidPublish, ""}, // (processClientPublish)
	{"stan: channel is being deleted", "; it has been unused for as long as the server's limit says, and is made anew afterwards"}, // (lookupOrCreateChannel)
	{"rejecting channel ", ""},             // (channelStore.checkCase): its name differs from another's in upper and lower case alone
	{errTooManyChannels, remedyOfChannels}, // (genericStore.canAddChannel)
}

const remedyOfChannels = "; raise the server's limit of channels (-mc; 0 for none)"

// invalidPublish is also the answer to a client that the server has given up
// (processClientPublish: the client is not known by that connection ID).
const invalidPublish = "stan: invalid publish request"

// isGivenUp reports whether the answer to a publish may mean that the server does not know
// the client any more. The other mistakes that the server answers in these words are refused
// by this library, before the publish is sent.
func isGivenUp(err error) bool { return err != nil && strings.HasPrefix(err.Error(), invalidPublish) }

// notSent says what an error of sending a publish means. unsent: nothing has left, since
// there is no connection. final: nothing has left, and sending it again would not help.
// After any other error some of it may have left, over a connection that is breaking.
func notSent(err error) (unsent bool, final error) {
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return true, nil
	case errors.Is(err, nats.ErrMaxPayload) && !errors.Is(err, transport.ErrTooLarge):
		return false, fmt.Errorf("%w: %w", transport.ErrTooLarge, err)
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return false, err
	default:
		return false, nil
	}
}
