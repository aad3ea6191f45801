package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// subscription implements [transport.Subscription]. The broker's lock guards the fields
// above intake.
type subscription struct {
	conn    *conn
	config  transport.SubscribeConfig
	deliver func(transport.Delivery)
	group   *group

	inFlight int // how many messages were sent to it and are not acknowledged

	// requestsNoMore is set by Stop where the broker sends only what members request, as
	// JetStream does. NATS Streaming sends until the subscription is closed.
	requestsNoMore bool
	queue          []transport.Delivery
	delivering     bool // a goroutine delivers the queue
	done           chan struct{}
	err            error

	intake  sync.RWMutex // held for reading during a call of deliver
	stopped bool         // guarded by intake
}

// enqueue adds a delivery to the queue, at its front if first is set, and sees to it that
// the queue is delivered.
func (s *subscription) enqueue(d transport.Delivery, first bool) {
	at := len(s.queue)
	if first {
		at = 0
	}
	s.queue = slices.Insert(s.queue, at, d)
	s.deliverQueue()
}

// deliverQueue starts a goroutine, unless there is one, that delivers the queue and ends
// when the queue is empty.
func (s *subscription) deliverQueue() {
	if s.delivering {
		return
	}
	s.delivering = true
	go func() {
		for {
			s.conn.broker.mu.Lock()
			if len(s.queue) == 0 || s.err != nil {
				s.delivering = false
				s.conn.broker.mu.Unlock()
				return
			}
			d := s.queue[0]
			s.queue = s.queue[1:]
			s.conn.broker.mu.Unlock()
			s.deliverOne(d)
		}
	}()
}

// deliverOne passes a delivery to the receiver unless the subscription was stopped.
func (s *subscription) deliverOne(d transport.Delivery) {
	s.intake.RLock()
	defer s.intake.RUnlock()
	if !s.stopped {
		s.deliver(d)
	}
}

// finish ends the subscription with err, unless it has ended before.
func (s *subscription) finish(err error) {
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// Stop implements [transport.Subscription].
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
	s.requestsNoMore = b.options.features.Nak
}

// Close implements [transport.Subscription].
func (s *subscription) Close(context.Context) error {
	s.Stop()
	b := s.conn.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	s.finish(transport.ErrClosed)
	s.group.removeMember(s)
	return nil
}

// AckWait implements [transport.Subscription].
func (s *subscription) AckWait() time.Duration { return s.config.AckWait }

// Done implements [transport.Subscription].
func (s *subscription) Done() <-chan struct{} { return s.done }

// Err implements [transport.Subscription].
func (s *subscription) Err() error {
	s.conn.broker.mu.Lock()
	defer s.conn.broker.mu.Unlock()
	return s.err
}
