package eventtest

import (
	"encoding"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// RequireIdempotent delivers the event to the listener twice. The second delivery is a
// redelivery (same sequence, Redelivered, Deliveries 2, Attempt 1), such as another member of the group
// would get. Both must be acknowledged, and the state after the second must be the same as
// after the first. Otherwise the test fails at once and prints both states as JSON.
//
// state returns the state to compare: the service's data as it can be seen from outside,
// or what the service published ([Published]), or both in a map or a struct. It is called
// after each delivery. The two states are compared as JSON, so that only exported fields
// count; state may therefore return the service's own data, which goes on changing. A
// struct without exported fields is refused.
//
// With ManualAck, RequireIdempotent waits until each delivery is settled, for one ack wait
// at most. For the rest see [Deliver].
func RequireIdempotent[T events.Event](t testing.TB, b *Bus, l *listener.Listener[T], event T, state func() any) {
	t.Helper()
	d := deliverer[T]{b, l}
	d.check(t, "RequireIdempotent")
	if state == nil {
		t.Fatal("eventtest.RequireIdempotent: state is nil; give it a function that returns what the two deliveries must leave alike")
	}
	message := d.firstDelivery(t, d.encode(t, event))
	once := d.stateAfter(t, message.Subject, "first", d.deliver(t, message), state)
	message.Redelivered, message.Deliveries = true, 2
	twice := d.stateAfter(t, message.Subject, "second", d.deliver(t, message), state)
	if once != twice {
		t.Fatalf("eventtest: %s delivered twice leaves another state than once; its handler has to recognise an event that it has handled (%s)\nafter once:  %s\nafter twice: %s",
			message.Subject, printed(message.Data), once, twice)
	}
}

// stateAfter requires that a delivery was acknowledged, and returns the state after it.
func (d deliverer[T]) stateAfter(t testing.TB, subject, which string, recorded *recordedDelivery, state func() any) string {
	t.Helper()
	d.bus.finish(d.listener, recorded.sub)
	if o := recorded.outcome(); o.Kind != Acknowledged {
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

// hidden returns the type of the first struct in v that has fields of which JSON shows
// none, so that a change of them could not be seen. It returns nil if there is no such
// struct. v has no cycles: it was written as JSON before.
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

// hiddenIn is hidden for a struct.
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
			// JSON shows the fields of an embedded struct as if they were the outer struct's
			// own. This one has none that JSON shows, as a mutex has none.
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

// writesItself reports whether a type has a method that writes its JSON.
func writesItself(t reflect.Type) bool {
	for _, t := range []reflect.Type{t, reflect.PointerTo(t)} {
		if t.Implements(jsonMarshaler) || t.Implements(textMarshaler) {
			return true
		}
	}
	return false
}
