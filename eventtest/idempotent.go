package eventtest

import (
	"encoding"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// RequireIdempotent delivers the event to the listener twice, the second time as a
// redelivery (same sequence, Redelivered, Attempt 2) such as another member of the
// group would get, and requires that both are acknowledged and that the state is
// the same after the first and after the second; if not, the test fails at once
// and prints both as JSON.
//
// state returns what is to be compared: what of the service's data can be seen from
// outside, or what it published, [Published], or both in a map or a struct. It is
// called after each delivery, and compared as the JSON that it makes, so that only
// exported fields count, and what it returns may be the living data. A struct
// that has none is refused.
//
// With ManualAck it waits for each event to be settled, for one ack wait at most.
// Otherwise all is as [Deliver] says.
func RequireIdempotent[T events.Event](t testing.TB, b *Bus, l *listener.Listener[T], event T, state func() any) {
	t.Helper()
	m := mail[T]{b, l}
	m.check(t, "RequireIdempotent")
	if state == nil {
		t.Fatal("eventtest.RequireIdempotent: state is nil; give it a function that returns what the two deliveries must leave alike")
	}
	d := m.stamp(t, m.encode(t, event))
	once := m.settled(t, d.Subject, "first", m.send(t, d), state)
	d.Redelivered, d.Deliveries = true, 2
	twice := m.settled(t, d.Subject, "second", m.send(t, d), state)
	if once != twice {
		t.Fatalf("eventtest: %s delivered twice leaves another state than once; its handler has to recognise an event that it has handled (%s)\nafter once:  %s\nafter twice: %s",
			d.Subject, printed(d.Data), once, twice)
	}
}

// settled requires that the event was acknowledged, and returns the state after it.
func (m mail[T]) settled(t testing.TB, subject, which string, p *parcel, state func() any) string {
	t.Helper()
	m.bus.finish(m.listener, p.line)
	if o := p.outcome(); o.Kind != Acknowledged {
		t.Fatalf("eventtest: %s: the %s delivery was not acknowledged, so that there is nothing to compare: %v", subject, which, o)
	}
	value := state()
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatalf("eventtest: state returned what can't be written as JSON: %v; return less, or another type", err)
	}
	if typ := hidden(reflect.ValueOf(value)); typ != nil {
		t.Fatalf("eventtest: state returned a %v, of which JSON shows nothing, since its fields are not exported; return what it holds instead", typ)
	}
	return string(text)
}

// hidden returns the type of the first struct in v that has fields, none of which
// JSON shows, so that a change could not be seen; nil if there is none. v is known
// to have no cycles, since it was written as JSON.
func hidden(v reflect.Value) reflect.Type {
	if !v.IsValid() || writesItself(v.Type()) {
		return nil
	}
	switch v.Kind() { //nolint:exhaustive // all others hold nothing
	case reflect.Pointer, reflect.Interface:
		return hidden(v.Elem())
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if t := hidden(v.Index(i)); t != nil {
				return t
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if t := hidden(v.MapIndex(key)); t != nil {
				return t
			}
		}
	case reflect.Struct:
		return hiddenIn(v)
	}
	return nil
}

func hiddenIn(v reflect.Value) reflect.Type {
	shown := v.NumField() == 0
	for field, value := range v.Fields() {
		if !field.IsExported() && !field.Anonymous {
			continue
		}
		switch t := hidden(value); {
		case t == nil:
			shown = true
		case field.Anonymous && (t == field.Type || reflect.PointerTo(t) == field.Type):
			// JSON takes an embedded struct for fields of its own, here none: a mutex.
		default:
			return t
		}
	}
	if !shown {
		return v.Type()
	}
	return nil
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// writesItself tells whether a type decides by itself what its JSON is.
func writesItself(t reflect.Type) bool {
	for _, t := range []reflect.Type{t, reflect.PointerTo(t)} {
		if t.Implements(jsonMarshaler) || t.Implements(textMarshaler) {
			return true
		}
	}
	return false
}
