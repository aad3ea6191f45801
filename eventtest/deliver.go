package eventtest

import (
	"testing"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/eventtype"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// Deliver delivers the event to the listener as a broker would the first time, waits until
// the handler has returned, and returns the outcome. It delivers the event once: an event
// that fails does not come again.
//
// The listener must be made from the bus's client, and must not be listening. Deliver makes
// it listen until the outcome is known, and fails the test if it can't. Each delivered
// event has a sequence of its own, from 1 for each subject. [Published] does not return
// delivered events, but it returns what the handler publishes. Deliver also delivers events
// that their own Validate method refuses.
//
// With listener.ManualAck, a handler may leave several delivered events open and settle
// them later; the listener goes on listening meanwhile. Events that are still open at the
// end of the test are forgotten.
func Deliver[T events.Event](t testing.TB, b *Bus, l *listener.Listener[T], event T) Outcome {
	t.Helper()
	d := deliverer[T]{b, l}
	d.check(t, "Deliver")
	return d.deliver(t, d.firstDelivery(t, d.encode(t, event))).outcome()
}

// DeliverPayload is [Deliver] for a payload that another service wrote: it delivers exactly
// these bytes, whatever they are.
func DeliverPayload[T events.Event](t testing.TB, b *Bus, l *listener.Listener[T], payload []byte) Outcome {
	t.Helper()
	d := deliverer[T]{b, l}
	d.check(t, "DeliverPayload")
	return d.deliver(t, d.firstDelivery(t, payload)).outcome()
}

// deliverer delivers events through a bus to a listener.
type deliverer[T events.Event] struct {
	bus      *Bus
	listener *listener.Listener[T]
}

// check fails the test if the bus or the listener is missing.
func (d deliverer[T]) check(t testing.TB, function string) {
	t.Helper()
	if !d.bus.made() {
		t.Fatalf("eventtest.%s: the Bus is nil; make it with eventtest.New", function)
	}
	if d.listener == nil {
		t.Fatalf("eventtest.%s: the listener is nil; make it with listener.New from the bus's Client()", function)
	}
}

func (d deliverer[T]) encode(t testing.TB, event T) []byte {
	t.Helper()
	payload, err := d.bus.options.codec.Encode(&event)
	if err != nil {
		t.Fatalf("eventtest: %T can't be encoded: %v", event, err)
	}
	return payload
}

// firstDelivery returns what a broker delivers of a new event with that payload.
func (d deliverer[T]) firstDelivery(t testing.TB, payload []byte) transport.Delivery {
	t.Helper()
	subject := subjectOf[T](t)
	d.bus.mu.Lock()
	defer d.bus.mu.Unlock()
	d.bus.sequences[subject]++
	return transport.Delivery{
		// Observers tell messages apart by subject, sequence and timestamp. In a synctest
		// bubble time stands still, and a message that the broker stores at this moment may
		// have the same sequence. It does not have the same timestamp.
		Subject: subject, Sequence: d.bus.sequences[subject], Timestamp: time.Now().Add(time.Nanosecond),
		Deliveries: 1, Data: payload,
	}
}

// deliver makes the listener listen, delivers the message to it, and returns when the
// listener is done with it.
func (d deliverer[T]) deliver(t testing.TB, message transport.Delivery) *recordedDelivery {
	t.Helper()
	sub, err := d.bus.use(d.listener)
	if err != nil {
		t.Fatalf("eventtest: deliver %s: %v", message.Subject, err)
	}
	recorded, err := sub.send(message)
	d.bus.endUse(d.listener, sub)
	if err != nil {
		t.Fatalf("eventtest: deliver %s: %v", message.Subject, err)
	}
	return recorded
}

// subjectOf returns the subject of T.
func subjectOf[T events.Event](t testing.TB) string {
	t.Helper()
	subject, err := eventtype.Subject[T]()
	if err != nil {
		t.Fatalf("eventtest: %v", err)
	}
	return string(subject)
}
