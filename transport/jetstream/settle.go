package jetstream

import (
	"fmt"
	"slices"
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

func (s *settler) Ack() error { return s.settle(consuming.Done, ack) }

func (s *settler) Nak(delay time.Duration) error {
	if delay <= 0 {
		return s.settle(consuming.GivenBack, nak)
	}
	return s.settle(consuming.GivenBack, strconv.AppendInt([]byte(`-NAK {"delay":`), int64(delay), 10), '}')
}

func (s *settler) Term(reason string) error {
	return s.settle(consuming.Done, []byte("+TERM "+reason))
}

// InProgress tells the server alone: the listener keeps the deadlines.
func (s *settler) InProgress() error { return s.send(inProgress) }

func (s *settler) Release() { s.settled(consuming.Released) }

// settle tells the server, and then the machine. What could not be sent comes again:
// until then the message takes no room.
func (s *settler) settle(outcome consuming.Outcome, answer []byte, more ...byte) error {
	err := s.send(append(slices.Clip(answer), more...))
	if err != nil {
		outcome = consuming.Released
	}
	s.settled(outcome)
	return err
}

// settled tells the machine what became of the message.
func (s *settler) settled(outcome consuming.Outcome) {
	s.sub.mu.Lock()
	s.sub.machine.Settled(time.Now(), s.epoch, s.sequence, s.reply, outcome)
	s.sub.perform()
	s.sub.mu.Unlock()
}

func (s *settler) send(answer []byte) error {
	if s.sub.Err() != nil {
		return transport.ErrSubscriptionClosed
	}
	s.sub.mu.Lock()
	current := s.sub.machine.Current(s.epoch)
	s.sub.mu.Unlock()
	if !current {
		return nil // the message is gone with its stream, and another has its sequence
	}
	if err := s.sub.conn.nc.Publish(s.reply, answer); err != nil {
		return fmt.Errorf("acknowledgement not sent: %w", err)
	}
	return nil
}
