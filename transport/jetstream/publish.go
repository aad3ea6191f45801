package jetstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/sgtickets/common/transport"
)

const (
	// A publish that nobody answers for a moment, as while a stream elects its leader,
	// is sent again: nobody has stored it.
	unansweredWait = 250 * time.Millisecond
	unansweredFor  = 10 * time.Second
)

// publish is one that waits for the stream's answer.
type publish struct {
	message nats.Msg  // its data is the transport's own: it may be written still when the publisher has its buffer back
	id      [1]string // the header with the message ID
	hasID   bool

	// open is how often it left with nobody having said that nothing came of that:
	// with the server's word on one time, the others may have been stored still.
	open       int
	first      time.Time // when the first of those was
	last       time.Time // when it left last
	generation uint64    // of the connection over which it did; 0: it is to leave over any
	silent     int       // how often it was sent again since nobody answered
	asked      time.Time // when the server first said that nobody takes it
}

// abandoned is the outcome of a publish whose answer is not waited for any more.
func (p *publish) abandoned() error {
	if p.open == 0 {
		return transport.ErrNotStored
	}
	return transport.ErrOutcomeUnknown
}

// refute notes that nothing came of one of the times that it left.
func (p *publish) refute() { p.open = max(p.open-1, 0) }

// listenForAcks subscribes to the answers to publishes: one subject for all, in
// whose last token the ticket is.
func (c *conn) listenForAcks() error {
	c.acks = c.nc.NewInbox() + "."
	sub, err := c.nc.Subscribe(c.acks+"*", c.answered)
	if err != nil {
		return err
	}
	// What waits is bounded by the window of publishes in flight.
	return sub.SetPendingLimits(-1, -1)
}

// Publish implements [transport.Conn]. The writer sends it.
func (c *conn) Publish(m transport.Message, r transport.Receipt) transport.Ticket {
	p := &publish{message: nats.Msg{Subject: m.Subject, Data: m.Data}, id: [1]string{m.ID}, hasID: m.ID != ""}
	p.message.Header = c.header(m.Header, p)
	if err := c.refuse(&p.message); err != nil {
		r.Done(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	p.message.Data = append([]byte(nil), m.Data...)
	t, err := c.publishes.Add(r, p)
	if err != nil {
		r.Done(fmt.Errorf("%w: %w", transport.ErrNotStored, err))
		return 0
	}
	c.outbox.put(t)
	c.mindSilence()
	return t
}

// header is given, with what the stream is to check: that it is this stream, and
// that it has not stored the message before.
func (c *conn) header(given transport.Header, p *publish) nats.Header {
	h := nats.Header(given)
	if h == nil {
		h = make(nats.Header, 2)
	}
	h[js.ExpectedStreamHeader] = c.expected
	if p.hasID {
		h[js.MsgIDHeader] = p.id[:]
	}
	return h
}

// refuse returns why m can't be sent, before anything is. Headers are measured only
// where the payload leaves them little room: it takes as long as to write them, and
// nats.go does so when it sends.
func (c *conn) refuse(m *nats.Msg) error {
	limit := c.maxPayload.Load()
	if int64(len(m.Data)) <= limit/2 {
		return nil
	}
	return tooLarge(m, limit)
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

// send sends a publish that waits, once over each connection. It reports false if
// there is none.
func (c *conn) send(t transport.Ticket) bool {
	generation := c.outbox.generation.Load()
	if c.outbox.cut.Load() == generation {
		return false
	}
	var m *nats.Msg
	due, forgotten := false, false
	c.publishes.Update(t, func(p *publish) {
		if p.generation == generation {
			return
		}
		if p.open > 0 && (!p.hasID || time.Since(p.first) > c.duplicateWindow()) {
			forgotten = true // the server could not tell that it is the same
			return
		}
		due = true
		p.generation = generation
		p.last = time.Now()
		if p.open == 0 {
			p.first = p.last
		}
		p.open++
		p.message.Reply = c.acks + strconv.FormatUint(uint64(t), 36)
		m = &p.message // which nobody changes any more: the writer alone sends
	})
	if forgotten {
		c.publishes.Settle(t, fmt.Errorf("%w: the stream did not answer while it could tell one that is sent again from another", transport.ErrOutcomeUnknown))
	}
	if !due {
		return true
	}
	switch err := c.nc.PublishMsg(m); {
	case err == nil:
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		c.outbox.cut.Store(generation)
		c.publishes.Update(t, (*publish).refute)
		return false
	case errors.Is(err, nats.ErrMaxPayload):
		if told := tooLarge(m, c.nc.MaxPayload()); told != nil {
			err = told
		}
		c.settleRefuted(t, err)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrHeadersNotSupported):
		c.settleRefuted(t, err)
	default:
		// A write that failed may have been partial, and nats.go has dropped what else it
		// was to carry. It is sent again with the next connection.
		_ = c.nc.ForceReconnect()
	}
	return true
}

// settleRefuted settles a publish of which one time that it left came to nothing.
func (c *conn) settleRefuted(t transport.Ticket, err error) {
	c.publishes.SettleBy(t, func(p *publish) error {
		p.refute()
		return fmt.Errorf("%w: %w", p.abandoned(), err)
	})
}

// Abandon implements [transport.Conn].
func (c *conn) Abandon(t transport.Ticket) { c.publishes.SettleBy(t, (*publish).abandoned) }

// pubAck is the answer to a publish.
type pubAck struct {
	Error  *js.APIError `json:"error"`
	Stream string       `json:"stream"`
}

// isStored recognises the answer that nearly all publishes get, in the form that
// servers write it, without decoding it. What it does not recognise is decoded.
func isStored(answer []byte) bool {
	return bytes.HasPrefix(answer, []byte(`{"stream":"`)) && bytes.HasSuffix(answer, []byte("}")) && !bytes.Contains(answer, []byte(`"error"`))
}

// answered takes an answer in.
func (c *conn) answered(m *nats.Msg) {
	n, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, c.acks), 36, 64)
	if err != nil {
		return // nobody's
	}
	t := transport.Ticket(n)
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		c.unanswered(t)
		return
	}
	if isStored(m.Data) {
		c.publishes.Settle(t, nil)
		return
	}
	var ack pubAck
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		c.publishes.Settle(t, fmt.Errorf("%w: the stream's answer is not understood: %w", transport.ErrOutcomeUnknown, err))
	case ack.Error == nil:
		c.publishes.Settle(t, nil)
	case ack.Error.ErrorCode == errStreamDuplicateInProcess:
		// The cluster has not agreed yet on one that was sent before: that is no outcome.
		// It is asked again as if nobody had answered.
	default:
		c.refused(t, ack.Error)
	}
}

// unanswered deals with a publish that the server has told nobody takes.
func (c *conn) unanswered(t transport.Ticket) {
	var subject string
	var since time.Time
	if !c.publishes.Update(t, func(p *publish) {
		p.refute()
		p.generation = 0
		if p.asked.IsZero() {
			p.asked = time.Now()
		}
		subject, since = p.message.Subject, p.asked
	}) {
		return
	}
	c.mindStream() // it may be gone
	if takes := c.takes(subject); takes && time.Since(since) < unansweredFor {
		time.AfterFunc(unansweredWait, func() { c.outbox.put(t) })
	} else {
		err := fmt.Errorf("%w: nobody stores subject %q: %s", transport.ErrRefused, subject, c.options.remedyForSubject(c.cfg.ClusterID, subject))
		if takes {
			err = fmt.Errorf("%w: stream %q does not answer: check that it exists and has a leader", transport.ErrRefused, c.cfg.ClusterID)
		}
		c.publishes.SettleBy(t, func(p *publish) error { return fmt.Errorf("%w: %w", p.abandoned(), err) })
	}
}

// takes reports whether the stream took the subject when it was last seen.
func (c *conn) takes(subject string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return covered(c.stream.Subjects, subject)
}

// refused settles a publish by an error in a stream's answer.
func (c *conn) refused(t transport.Ticket, err *js.APIError) {
	refused := fmt.Errorf("%w: %w", transport.ErrRefused, err)
	switch err.ErrorCode {
	case errStreamMessageExceedsMaximum:
		refused = fmt.Errorf("%w: the stream's limit on messages (MaxMsgSize): %w", transport.ErrTooLarge, err)
	case errStreamStoreFailed:
		if !strings.HasPrefix(err.Description, "maximum ") {
			// Other replicas may have been able to.
			c.publishes.Settle(t, fmt.Errorf("%w: %w", transport.ErrOutcomeUnknown, refused))
			return
		}
		refused = fmt.Errorf("%w: stream %q is full and refuses what is new: raise its limits (options MaxMessages and MaxBytes with UpdateStream), "+
			"or let it drop what is old (DiscardOld): %w", transport.ErrRefused, c.cfg.ClusterID, err)
	case errStreamNotMatch:
		refused = fmt.Errorf("%w: another stream than %q has the subject: take it out of that one, or connect to it by its name: %w",
			transport.ErrRefused, c.cfg.ClusterID, err)
	default:
	}
	c.settleRefuted(t, refused)
}

// Codes of JetStream's errors that nats.go does not name; see errors.json of
// nats-server.
const (
	errStreamMessageExceedsMaximum js.ErrorCode = 10054
	errStreamNotMatch              js.ErrorCode = 10060
	errStreamStoreFailed           js.ErrorCode = 10077
	errStreamDuplicateInProcess    js.ErrorCode = 10158
)
