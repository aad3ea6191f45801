package eventtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/transport"
)

// fakeKey is the key of a fakeSubscription in the context of a Listen.
type fakeKey struct{}

// fakeSubscription is one Listen of a listener that Deliver makes listen, and the
// subscription that this Listen gets: Deliver plays the broker. It lasts as long as a call
// of Deliver uses it, and with ManualAck as long as a delivery is open.
type fakeSubscription struct {
	bus    *Bus
	cancel context.CancelFunc // ends Listen
	// claimed is set by the first call of Subscribe, which is Listen's. A handler whose
	// context is derived from Listen's may subscribe, too, and gets a real subscription.
	claimed    atomic.Bool
	subscribed chan struct{} // closed when Listen has subscribed
	ended      chan struct{} // closed when Listen has returned
	err        error         // what Listen returned; set before ended is closed

	// The bus's lock guards these.
	users      int                 // how many calls of Deliver use it
	deliveries []*recordedDelivery // deliveries that may be open
	ending     bool                // no further call of Deliver may use it

	features transport.Features        // of the broker; set before subscribed is closed
	config   transport.SubscribeConfig // likewise
	deliver  func(transport.Delivery)  // likewise

	mu      sync.Mutex // held during deliver
	stopped bool
	once    sync.Once
	done    chan struct{}
}

func newFakeSubscription(b *Bus) *fakeSubscription {
	return &fakeSubscription{bus: b, subscribed: make(chan struct{}), ended: make(chan struct{}), done: make(chan struct{})}
}

// open says what Listen subscribed with, and what the broker can do.
func (s *fakeSubscription) open(f transport.Features, config transport.SubscribeConfig, deliver func(transport.Delivery)) {
	s.features, s.config, s.deliver = f, config, deliver
	close(s.subscribed)
}

// send delivers a message and waits until the listener is done with it.
func (s *fakeSubscription) send(d transport.Delivery) (*recordedDelivery, error) {
	recorded := newRecordedDelivery(s, d)
	d.Settler, d.Once = recorded, true
	s.bus.recorder.add(recorded)
	s.bus.mu.Lock()
	s.deliveries = append(s.deliveries, recorded)
	s.bus.mu.Unlock()
	s.deliverUnlessStopped(d)
	select {
	case <-recorded.concluded:
		return recorded, nil
	case <-s.ended:
	}
	select {
	case <-recorded.concluded:
		return recorded, nil
	default:
		return nil, fmt.Errorf("the listener ended before it took the event: %w", errClosed)
	}
}

func (s *fakeSubscription) deliverUnlessStopped(d transport.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.deliver(d)
	}
}

// Stop implements transport.Subscription.
func (s *fakeSubscription) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// Close implements transport.Subscription.
func (s *fakeSubscription) Close(context.Context) error {
	s.Stop()
	s.once.Do(func() { close(s.done) })
	return nil
}

// AckWait implements transport.Subscription.
func (s *fakeSubscription) AckWait() time.Duration { return s.config.AckWait }

// Done implements transport.Subscription.
func (s *fakeSubscription) Done() <-chan struct{} { return s.done }

// Err implements transport.Subscription.
func (s *fakeSubscription) Err() error {
	select {
	case <-s.done:
		return transport.ErrClosed
	default:
		return nil
	}
}
