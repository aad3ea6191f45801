package eventtest

import (
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// recordedDelivery is the settler of one delivery. It records what becomes of it: how it is
// settled, and what the listener tells observers.
type recordedDelivery struct {
	sub       *fakeSubscription
	message   messageKey
	concluded chan struct{} // closed when the handler has returned, or will not be called
	once      sync.Once

	mu       sync.Mutex
	begun    bool // the handler was called
	returned bool // the handler has returned
	done     bool // the listener is done with it, or its handler left it open
	failed   bool
	acked    bool
	retried  bool
	delay    time.Duration           // until the next attempt
	reason   events.DeadLetterReason // set when its dead letter is stored
	err      error                   // why it was not handled
}

var _ transport.Settler = (*recordedDelivery)(nil)

func newRecordedDelivery(sub *fakeSubscription, d transport.Delivery) *recordedDelivery {
	return &recordedDelivery{
		sub: sub, message: messageKey{d.Subject, sub.config.Group, d.Sequence, d.Timestamp.UnixNano()}, concluded: make(chan struct{}),
	}
}

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

// Release implements transport.Settler. There is nothing to make room for.
func (*recordedDelivery) Release() {}

// observe records what the listener tells of the event.
func (d *recordedDelivery) observe(o observe.Observation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch o.Kind { //nolint:exhaustive // the others change nothing
	case observe.Begun:
		d.begun = true
	case observe.Returned:
		d.returned = true
		if o.Err != nil {
			d.err = o.Err
		}
		if o.Open {
			d.done = true
		}
	case observe.Failed:
		if !d.failed { // a second one says that its dead letter is not stored
			d.failed, d.err = true, o.Err
		}
		if o.Retry {
			d.retried, d.delay, d.done = true, o.RetryIn, true
		}
	case observe.DeadLettered:
		d.reason = events.DeadLetterReason(o.Reason)
	case observe.Skipped:
		if o.Reason != observe.SkipHandled { // such an event is acknowledged again, and then Settled
			d.err, d.done = o.Err, true
		}
	case observe.Settled:
		d.done = true
		if o.Err != nil {
			d.err = o.Err
		}
	}
	if d.done && d.begun == d.returned {
		d.once.Do(func() { close(d.concluded) })
	}
}

// isConcluded reports whether the listener is done with the delivery, and has told all.
func (d *recordedDelivery) isConcluded() bool {
	select {
	case <-d.concluded:
		return true
	default:
		return false
	}
}

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
