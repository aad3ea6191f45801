package jetstream

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream/internal/consuming"
)

// openInbox opens the inbox of a round, and closes that of the round before once what
// is on its way to it has come.
func (s *subscription) openInbox(round uint64) {
	if s.inbox != nil {
		_ = s.inbox.Drain()
	}
	nc := s.conn.nc
	inbox, err := nc.Subscribe(nc.NewInbox(), func(m *nats.Msg) { s.receive(m, round) })
	if err != nil { // the connection is closed
		s.inboxClosed("")
		return
	}
	s.inbox = inbox
	inbox.SetClosedHandler(s.inboxClosed)
	// The inbox is bounded by what is asked for.
	_ = inbox.SetPendingLimits(-1, -1)
}

func (s *subscription) inboxClosed(string) {
	s.step(func(m *consuming.Machine, _ time.Time) { m.InboxClosed() })
}

// closeInbox closes the inbox of the current round.
func (s *subscription) closeInbox() {
	if s.inbox == nil || s.inbox.Drain() != nil {
		s.drained.Finish(nil) // the connection is closed
	}
}

// pull asks the consumer for messages.
func (s *subscription) pull(e *consuming.Effect) error {
	if s.inbox == nil {
		return nats.ErrConnectionClosed
	}
	subject := s.conn.prefix + pullPrefix + s.conn.cfg.ClusterID + "." + s.consumer.name
	return s.conn.nc.PublishRequest(subject, s.inbox.Subject, pullRequest(e))
}

// pullRequest is a request for messages; see the server's JSApiConsumerGetNextRequest.
func pullRequest(e *consuming.Effect) []byte {
	b := make([]byte, 0, 80)
	b = append(b, `{"batch":`...)
	b = strconv.AppendInt(b, int64(e.Batch), 10)
	b = append(b, `,"expires":`...)
	b = strconv.AppendInt(b, int64(e.Expires), 10)
	b = append(b, `,"idle_heartbeat":`...)
	b = strconv.AppendInt(b, int64(e.Beat), 10)
	return append(b, '}')
}

// receive takes in what comes to the inbox of a round: messages, and what the server
// says of requests.
func (s *subscription) receive(m *nats.Msg, round uint64) {
	o, ok := originOf(m.Reply)
	switch {
	case !ok && m.Header.Get("Status") != "":
		s.status(m, round)
		return
	case !ok || o.stream != s.conn.cfg.ClusterID || o.consumer != s.consumer.name:
		s.foreignMessage()
		return
	}
	s.intake.Lock()
	defer s.intake.Unlock()
	s.mu.Lock()
	epoch, handUp := s.machine.Delivered(time.Now(), round, consuming.Message{
		OtherSubject: m.Subject != s.config.Subject && !transport.Covers(s.config.Subject, m.Subject),
		Sequence:     o.sequence, ConsumerSequence: o.ofConsumer, Stored: o.stored, Reply: m.Reply, Again: o.deliveries > 1, Pending: o.pending,
	})
	last := s.machine.Last(o.deliveries)
	s.perform()
	s.mu.Unlock()
	if !handUp {
		return
	}
	s.deliver(transport.Delivery{
		Subject:     m.Subject,
		Sequence:    o.sequence,
		Timestamp:   o.stored,
		Redelivered: o.deliveries > 1,
		Deliveries:  int(o.deliveries), //nolint:gosec // G115: nothing is delivered that often
		Header:      transport.Header(m.Header),
		Data:        m.Data,
		Settler:     &settler{sub: s, reply: m.Reply, sequence: o.sequence, epoch: epoch},
		Last:        last,
	})
}

// foreignMessage deals with a message that the consumer has not sent: someone else answers
// the requests for messages. It is passed over, and the consumer's own are waited for.
func (s *subscription) foreignMessage() {
	if s.conn.foreign.pulls.due() {
		s.conn.watch.Tell(transport.Event{Kind: transport.AsyncError, Err: fmt.Errorf(
			"requests for messages are answered by others than consumer %q of stream %q; such messages are passed over: find out who subscribes to %sCONSUMER.MSG.NEXT.>",
			s.consumer.name, s.conn.cfg.ClusterID, s.conn.prefix)})
	}
}

// status tells the machine what the server says of a request.
func (s *subscription) status(m *nats.Msg, round uint64) {
	lacking, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil {
		lacking = consuming.Unknown
	}
	s.step(func(machine *consuming.Machine, now time.Time) {
		machine.Status(now, round, m.Header.Get("Status"), m.Header.Get("Description"), lacking)
	})
}
