package jetstream

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream/internal/consuming"
)

// What the server understands on a message's reply subject; see AckAck and so on
// in nats-server's consumer.go.
var (
	ack        = []byte("+ACK")
	nak        = []byte("-NAK")
	inProgress = []byte("+WPI")
)

// settler implements [transport.Settler]. Settling again does no harm.
type settler struct {
	sub      *subscription
	reply    string
	sequence uint64
	epoch    uint64 // the machine's, from the delivery
}

func (s *settler) Ack() error {
	return s.settle(consuming.Answer{Outcome: consuming.Done, Text: ack})
}

func (s *settler) Nak(delay time.Duration) error {
	return s.settle(consuming.Answer{Outcome: consuming.GivenBack, Text: nakAfter(delay), Delay: max(delay, 0)})
}

// nakAfter is a negative acknowledgement: the message is to come again after that time.
func nakAfter(delay time.Duration) []byte {
	if delay <= 0 {
		return nak
	}
	return append(strconv.AppendInt([]byte(`-NAK {"delay":`), int64(delay), 10), '}')
}

func (s *settler) Term(reason string) error {
	return s.settle(consuming.Answer{Outcome: consuming.Done, Text: []byte("+TERM " + reason)})
}

// InProgress tells the server alone: the listener keeps the deadlines.
func (s *settler) InProgress() error {
	return s.send(inProgress, func(m *consuming.Machine) bool { return m.Current(s.epoch) })
}

func (s *settler) Release() { s.settled(consuming.Released) }

// settle tells the server, and then the machine. What could not be sent is sent when the
// link is back, or the message comes again: until then it takes no room.
func (s *settler) settle(a consuming.Answer) error {
	a.Sequence, a.Reply = s.sequence, s.reply
	err := s.send(a.Text, func(m *consuming.Machine) bool { return m.Answering(time.Now(), s.epoch, a) })
	if err != nil {
		a.Outcome = consuming.Released
	}
	s.settled(a.Outcome)
	return err
}

// settled tells the machine what became of the message.
func (s *settler) settled(outcome consuming.Outcome) {
	s.sub.mu.Lock()
	s.sub.machine.Settled(time.Now(), s.epoch, s.sequence, s.reply, outcome)
	s.sub.perform()
	s.sub.mu.Unlock()
}

// send sends an answer, unless the message is gone with its stream, and another one has its
// sequence.
func (s *settler) send(answer []byte, current func(*consuming.Machine) bool) error {
	if s.sub.Err() != nil {
		return transport.ErrSubscriptionClosed
	}
	s.sub.mu.Lock()
	ok := current(s.sub.machine)
	s.sub.mu.Unlock()
	if !ok {
		return nil
	}
	if err := s.sub.conn.nc.Publish(s.reply, answer); err != nil {
		s.sub.mu.Lock()
		s.sub.machine.NotAnswered()
		s.sub.mu.Unlock()
		return fmt.Errorf("acknowledgement not sent: %w", err)
	}
	return nil
}
