package listener

import (
	"sync"
	"time"

	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Delivery is what a handler learns of its event beside the event itself. It is
// a value, may be kept, and its methods are safe for concurrent use. The zero
// value can be used in the unit test of a handler.
type Delivery struct {
	Subject     subjects.Subject
	Group       string    // the listener's queue group; empty without one
	Sequence    uint64    // of the event in its channel; the first is 1
	Timestamp   time.Time // when the server stored it
	Redelivered bool      // the server says that it sent the event before
	Attempt     int       // 1 for the first: the larger of the runs seen here and Deliveries
	Deliveries  int       // how often the server says it sent it, this time included; 0 where it keeps no count
	Header      Header    // nil where the broker has none; not to be changed

	settlement settlement
}

// Header holds an event's headers, by name as it was written.
type Header = transport.Header

// Ack acknowledges the event: it was handled and does not come again. It is for
// listeners with [ManualAck], and returns [ErrNotManual] for others,
// [ErrSettled] if the event was settled before, [ErrNotDelivered] for a Delivery
// that did not come from a server, and [ErrSubscriptionClosed] when Listen has
// returned. A nil error means that the acknowledgement was sent; when it gets
// lost, the event comes again.
func (d Delivery) Ack() error {
	if d.settlement == nil {
		return ErrNotDelivered
	}
	return d.settlement.ack()
}

// Nak gives the event back, because of err, which is logged: it comes again, over
// NATS Streaming when its ack wait has passed. It returns [ErrNotManual],
// [ErrSettled] and [ErrNotDelivered] as Ack does. Where the broker can be told to
// send the event again at once, which NATS Streaming can't, it returns an error,
// such as [ErrSubscriptionClosed], when that was not sent; the event is given back
// all the same.
func (d Delivery) Nak(err error) error {
	if d.settlement == nil {
		return ErrNotDelivered
	}
	return d.settlement.nak(err)
}

// settlement decides what becomes of one delivery.
type settlement interface {
	ack() error
	nak(error) error
}

// automatic settles when the handler returns, and lets nobody else do so.
type automatic struct{}

func (automatic) ack() error      { return ErrNotManual }
func (automatic) nak(error) error { return ErrNotManual }

// manual is settled by the handler, once.
type manual struct {
	run      *run
	work     *work
	mu       sync.Mutex
	settled  bool
	expiry   *time.Timer // gives up on it; set when the handler has returned
	released bool
}

func (m *manual) ack() error {
	if !m.settle() {
		return ErrSettled
	}
	err := m.run.ack(m.work)
	if err != nil {
		m.reopen()
		return err
	}
	m.release(true)
	return nil
}

// reopen lets what was not sent be tried again.
func (m *manual) reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = false
}

func (m *manual) nak(err error) error {
	if !m.settle() {
		return ErrSettled
	}
	defer m.release(false)
	m.run.failed(m.work, err)
	return m.run.giveBack(m.work, 0)
}

// settle reports whether it was open until now.
func (m *manual) settle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.settled
	m.settled = true
	return !was
}

// returned begins the time in which what the handler left open can be settled.
func (m *manual) returned(wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.released {
		m.expiry = time.AfterFunc(wait, func() { m.release(false) })
	}
}

// release tells the run that nothing more has to be waited for. The delivery may
// still be settled after that, if it comes to it.
func (m *manual) release(acknowledged bool) {
	m.mu.Lock()
	was := m.released
	m.released = true
	if m.expiry != nil {
		m.expiry.Stop()
	}
	m.mu.Unlock()
	if !was {
		m.run.release(m.work, acknowledged)
	}
}
