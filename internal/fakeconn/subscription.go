package fakeconn

import (
	"context"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// Subscription implements transport.Subscription. The test delivers to it.
type Subscription struct {
	Config  transport.SubscribeConfig
	deliver func(transport.Delivery)
	onLeave func(ctx context.Context) error

	mu      sync.Mutex
	stopped bool
	done    chan struct{}
	err     error
}

// Deliver passes a delivery to the receiver, unless the subscription is stopped. It returns
// the delivery's settler, which records what the receiver does.
func (s *Subscription) Deliver(d transport.Delivery) *Settled {
	settled := &Settled{}
	d.Subject = s.Config.Subject
	d.Settler = settled
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.deliver(d)
	}
	return settled
}

// Stop implements transport.Subscription.
func (s *Subscription) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// Close implements transport.Subscription.
func (s *Subscription) Close(ctx context.Context) error {
	s.Stop()
	s.end(transport.ErrClosed)
	if s.onLeave != nil {
		return s.onLeave(ctx)
	}
	return nil
}

func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// AckWait implements transport.Subscription.
func (s *Subscription) AckWait() time.Duration { return s.Config.AckWait }

// Done implements transport.Subscription.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Err implements transport.Subscription.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
