package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// subscription implements transport.Subscription. The broker's lock guards it,
// but for intake.
type subscription struct {
	conn    *conn
	config  transport.SubscribeConfig
	deliver func(transport.Delivery)
	group   *group

	inFlight int // sent to it and not acknowledged

	// asksNoMore: it has stopped, and the broker sends what is asked for, as JetStream
	// does. NATS Streaming sends until the subscription closes.
	asksNoMore bool
	queue      []transport.Delivery
	pumping    bool // a goroutine delivers the queue
	done       chan struct{}
	err        error

	intake  sync.RWMutex // held for reading while a delivery is handed up
	stopped bool
}

// enqueue adds a delivery, or lets it jump the queue.
func (s *subscription) enqueue(d transport.Delivery, jump bool) {
	at := len(s.queue)
	if jump {
		at = 0
	}
	s.queue = slices.Insert(s.queue, at, d)
	s.pump()
}

// pump delivers the queue, in a goroutine that ends with it.
func (s *subscription) pump() {
	if s.pumping {
		return
	}
	s.pumping = true
	go func() {
		for {
			s.conn.broker.mu.Lock()
			if len(s.queue) == 0 || s.err != nil {
				s.pumping = false
				s.conn.broker.mu.Unlock()
				return
			}
			d := s.queue[0]
			s.queue = s.queue[1:]
			s.conn.broker.mu.Unlock()
			s.hand(d)
		}
	}()
}

func (s *subscription) hand(d transport.Delivery) {
	s.intake.RLock()
	defer s.intake.RUnlock()
	if !s.stopped {
		s.deliver(d)
	}
}

func (s *subscription) finish(err error) {
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

func (s *subscription) Stop() {
	if s.conn.broker.options.defect == deliversAfterStop {
		return
	}
	s.intake.Lock()
	s.stopped = true
	s.intake.Unlock()
	b := s.conn.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	s.asksNoMore = b.options.features.Nak
}

func (s *subscription) Close(context.Context) error {
	s.Stop()
	b := s.conn.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	s.finish(transport.ErrClosed)
	s.group.leave(s)
	return nil
}

func (s *subscription) AckWait() time.Duration { return s.config.AckWait }

func (s *subscription) Done() <-chan struct{} { return s.done }

func (s *subscription) Err() error {
	s.conn.broker.mu.Lock()
	defer s.conn.broker.mu.Unlock()
	return s.err
}

// settler implements transport.Settler.
type settler struct {
	group    *group
	member   *subscription
	sequence uint64
}

// settle does what is to be done with the message, if it is still open. One that
// another member has by now is settled all the same.
func (s *settler) settle(supported bool, do func(*pending)) error {
	b := s.group.channel.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if !supported {
		return transport.ErrUnsupported
	}
	if s.member.err != nil && b.options.defect != acknowledgesAfterClose {
		return transport.ErrSubscriptionClosed
	}
	if p, open := s.group.pending[s.sequence]; open {
		do(p)
		s.group.dispatch()
	}
	return nil
}

func (s *settler) Ack() error {
	if s.group.channel.broker.options.defect == ignoresAcks {
		return nil
	}
	return s.settle(true, s.group.done)
}

func (s *settler) Nak(delay time.Duration) error {
	return s.settle(s.group.channel.broker.options.features.Nak, func(p *pending) {
		if s.group.channel.broker.options.defect == ignoresNakDelay {
			delay = 0
		}
		if delay <= 0 {
			s.group.back(p)
			return
		}
		s.group.delay(p, delay)
	})
}

func (s *settler) InProgress() error {
	return s.settle(s.group.channel.broker.options.features.InProgress, func(p *pending) {
		if s.group.channel.broker.options.defect != ignoresInProgress {
			p.due = time.Now().Add(s.member.config.AckWait)
		}
	})
}

func (s *settler) Term(string) error {
	return s.settle(s.group.channel.broker.options.features.Term, s.group.done)
}

// Release implements [transport.Settler]. The broker counts by itself what is in flight.
func (*settler) Release() {}
