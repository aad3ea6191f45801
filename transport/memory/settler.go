package memory

import (
	"time"

	"github.com/sgtickets/common/transport"
)

// settler implements [transport.Settler] for one delivery.
type settler struct {
	group      *group
	member     *subscription
	sequence   uint64
	deliveries int  // the count of this delivery
	dead       bool // only with a defect: nothing can be settled any more
}

// settle applies do to the message if it is not acknowledged. That also holds when
// another member has the message by now.
func (s *settler) settle(supported bool, do func(*unackedMessage)) error {
	b := s.group.channel.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if !supported {
		return transport.ErrUnsupported
	}
	if s.member.err != nil && b.options.defect != acknowledgesAfterClose || s.dead {
		return transport.ErrSubscriptionClosed
	}
	if u, ok := s.group.unacked[s.sequence]; ok {
		do(u)
		s.group.dispatch()
	}
	return nil
}

func (s *settler) features() transport.Features { return s.group.channel.broker.options.features }

func (s *settler) defect() defect { return s.group.channel.broker.options.defect }

// Ack implements [transport.Settler].
func (s *settler) Ack() error {
	if s.defect() == ignoresAcks || s.refusesAck() {
		return nil
	}
	return s.settle(true, s.group.acknowledge)
}

// Nak implements [transport.Settler].
func (s *settler) Nak(delay time.Duration) error {
	if s.features().Nak && s.refusesAck() {
		return nil
	}
	return s.settle(s.features().Nak, func(u *unackedMessage) {
		if s.defect() == ignoresNakDelay {
			delay = 0
		}
		if delay <= 0 {
			s.group.requeue(u)
			return
		}
		s.group.delay(u, delay)
	})
}

// InProgress implements [transport.Settler].
func (s *settler) InProgress() error {
	if s.features().InProgress && s.refusesAck() {
		return nil
	}
	return s.settle(s.features().InProgress, func(u *unackedMessage) {
		if s.defect() != ignoresInProgress {
			u.due = time.Now().Add(s.member.config.AckWait)
		}
	})
}

// Term implements [transport.Settler].
func (s *settler) Term(string) error {
	if s.features().Term && s.refusesAck() {
		return nil
	}
	return s.settle(s.features().Term, s.group.acknowledge)
}

// Release implements [transport.Settler]. Where members request what they have room for,
// as over JetStream, it makes room for another message.
func (s *settler) Release() {
	b := s.group.channel.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	u, ok := s.group.unacked[s.sequence]
	if !ok || s.member.err != nil {
		return
	}
	switch b.options.defect { //nolint:exhaustive // the other defects do not concern it
	case losesReleased:
		s.group.acknowledge(u)
	case redeliversReleased:
		s.group.requeue(u)
	case refusesReleased:
		s.dead = true
	}
	if b.options.features.Nak && u.member == s.member && u.deliveries == s.deliveries {
		u.giveUpRoom()
	}
	s.group.dispatch()
}
