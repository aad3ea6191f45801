package jetstream

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sgtickets/common/transport"
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
	stream   uint64 // that it is of, see subscription.stream
}

func (s *settler) Ack() error { return s.settle(true, ack) }

func (s *settler) Nak(delay time.Duration) error {
	if delay <= 0 {
		return s.settle(false, nak)
	}
	return s.settle(false, strconv.AppendInt([]byte(`-NAK {"delay":`), int64(delay), 10), '}')
}

func (s *settler) Term(reason string) error {
	return s.settle(true, []byte("+TERM "+reason))
}

// Release makes room for another message.
func (s *settler) Release() { s.sub.settled(s.sequence, false) }

func (s *settler) InProgress() error {
	if err := s.send(inProgress); err != nil {
		return err
	}
	s.sub.extended(s.sequence)
	return nil
}

func (s *settler) settle(done bool, answer []byte, more ...byte) error {
	if err := s.send(append(slices.Clip(answer), more...)); err != nil {
		return err
	}
	s.sub.settled(s.sequence, done)
	return nil
}

func (s *settler) send(answer []byte) error {
	if s.sub.Err() != nil {
		return transport.ErrSubscriptionClosed
	}
	if s.stream != s.sub.stream.Load() {
		return nil // it is gone with its stream, and another has its sequence
	}
	if err := s.sub.conn.nc.Publish(s.reply, answer); err != nil {
		return fmt.Errorf("acknowledgement not sent: %w", err)
	}
	return nil
}
