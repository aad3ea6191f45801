package eventtest

import (
	"testing"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/eventtype"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// Deliver delivers the event to the listener, as a broker would for the first
// time, waits until its handler has returned, and returns what became of it. It
// delivers that one event only, and only once: none that fails comes again.
//
// The listener must have been made from the bus's client and must not be
// listening; Deliver makes it listen for as long as it takes, and fails the test
// where it can't. Each event has a sequence of its own, from 1 for each subject, and is
// not among those that [Published] returns; what the handler publishes is.
// An event that its own Validate refuses is delivered all the same.
//
// With listener.ManualAck, several events may be delivered before a handler settles
// them all; the listener goes on listening meanwhile. What is left open at the end
// of the test is forgotten.
func Deliver[T events.Event](t testing.TB, b *Bus, l *listener.Listener[T], event T) Outcome {
	t.Helper()
	m := mail[T]{b, l}
	m.check(t, "Deliver")
	return m.send(t, m.stamp(t, m.encode(t, event))).outcome()
}

// DeliverPayload is [Deliver] for what another service wrote: a payload to the
// byte, which may be anything.
func DeliverPayload[T events.Event](t testing.TB, b *Bus, l *listener.Listener[T], payload []byte) Outcome {
	t.Helper()
	m := mail[T]{b, l}
	m.check(t, "DeliverPayload")
	return m.send(t, m.stamp(t, payload)).outcome()
}

// mail is what goes through a bus to a listener.
type mail[T events.Event] struct {
	bus      *Bus
	listener *listener.Listener[T]
}

func (m mail[T]) check(t testing.TB, function string) {
	t.Helper()
	if m.bus == nil {
		t.Fatalf("eventtest.%s: the Bus is nil; make it with eventtest.New", function)
	}
	if m.listener == nil {
		t.Fatalf("eventtest.%s: the listener is nil; make it with listener.New from the bus's Client()", function)
	}
}

func (m mail[T]) encode(t testing.TB, event T) []byte {
	t.Helper()
	payload, err := m.bus.options.codec.Encode(&event)
	if err != nil {
		t.Fatalf("eventtest: %T can't be encoded: %v", event, err)
	}
	return payload
}

// stamp makes of a payload what a broker delivers for the first time.
func (m mail[T]) stamp(t testing.TB, payload []byte) transport.Delivery {
	t.Helper()
	subject := subjectOf[T](t)
	m.bus.mu.Lock()
	defer m.bus.mu.Unlock()
	m.bus.sequences[subject]++
	return transport.Delivery{
		Subject: subject, Sequence: m.bus.sequences[subject], Timestamp: time.Now(),
		Deliveries: 1, Data: payload,
	}
}

// send delivers d and returns when the listener is done with it.
func (m mail[T]) send(t testing.TB, d transport.Delivery) *parcel {
	t.Helper()
	ln, err := m.bus.line(m.listener)
	if err != nil {
		t.Fatalf("eventtest: deliver %s: %v", d.Subject, err)
	}
	p, err := ln.send(d)
	m.bus.leave(m.listener, ln)
	if err != nil {
		t.Fatalf("eventtest: deliver %s: %v", d.Subject, err)
	}
	return p
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
