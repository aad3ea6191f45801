package eventtest

import (
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

// recordedDelivery is the settler of one delivery. It records what becomes of it.
type recordedDelivery struct {
	sub       *fakeSubscription
	concluded chan struct{} // closed when the handler has returned, or will not be called
	once      sync.Once

	mu      sync.Mutex
	acked   bool
	retried bool
	delay   time.Duration           // until the next attempt
	reason  events.DeadLetterReason // set when its dead letter is stored
	err     error                   // why it was not handled
}

func newRecordedDelivery(sub *fakeSubscription) *recordedDelivery {
	return &recordedDelivery{sub: sub, concluded: make(chan struct{})}
}

var (
	_ transport.Settler = (*recordedDelivery)(nil)
	_ session.Observer  = (*recordedDelivery)(nil)
)

// settle calls record, unless the broker can't settle that way or it is too late.
func (d *recordedDelivery) settle(supported bool, record func()) error {
	switch {
	case !supported:
		return transport.ErrUnsupported
	case d.sub.Err() != nil, d.sub.bus.client.Err() != nil:
		return transport.ErrSubscriptionClosed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	record()
	return nil
}

// Ack implements transport.Settler.
func (d *recordedDelivery) Ack() error {
	return d.settle(true, func() { d.acked = true })
}

// Nak implements transport.Settler.
func (d *recordedDelivery) Nak(delay time.Duration) error {
	return d.settle(d.sub.features.Nak, func() { d.retried, d.delay = true, delay })
}

// InProgress implements transport.Settler. There is no ack wait to extend: a delivery comes
// again only if the test delivers it again.
func (d *recordedDelivery) InProgress() error {
	return d.settle(d.sub.features.InProgress, func() {})
}

// Term implements transport.Settler.
func (d *recordedDelivery) Term(string) error {
	return d.settle(d.sub.features.Term, func() { d.acked = true })
}

// Release implements transport.Settler.
func (*recordedDelivery) Release() {}

// Failed implements session.Observer.
func (d *recordedDelivery) Failed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// Retried implements session.Observer.
func (d *recordedDelivery) Retried(delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.retried, d.delay = true, delay
}

// DeadLettered implements session.Observer.
func (d *recordedDelivery) DeadLettered(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reason = events.DeadLetterReason(reason)
}

// Concluded implements session.Observer.
func (d *recordedDelivery) Concluded() { d.once.Do(func() { close(d.concluded) }) }

// open reports whether a handler with ManualAck has the delivery and has not settled it.
func (d *recordedDelivery) open() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.acked && !d.retried && d.err == nil
}

// outcome returns what became of the delivery so far.
func (d *recordedDelivery) outcome() Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.reason != "":
		return Outcome{Kind: DeadLettered, Reason: d.reason, Err: d.err}
	case d.acked:
		return Outcome{Kind: Acknowledged, Err: d.err}
	case d.retried:
		return Outcome{Kind: Retried, RetryIn: d.delay, Err: d.err}
	default:
		return Outcome{Kind: Retried, RetryIn: d.sub.config.AckWait, Err: d.err}
	}
}
