package eventtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/transport"
)

// RequirePublished returns the first published event of type T for which match returns
// true; a nil match accepts any. If there is none yet, it waits for one, since a goroutine
// may publish it: for 2 s by default (option [Wait]). Then the test fails at once and
// prints what was published instead.
//
// An event counts as published when the broker has stored it. So an event whose outcome is
// unknown to its publisher may be among them.
func RequirePublished[T events.Event](t testing.TB, b *Bus, match func(T) bool) T {
	t.Helper()
	requireBus(t, b, "RequirePublished")
	subject := subjectOf[T](t)
	timeout := time.NewTimer(b.options.wait)
	defer timeout.Stop()
	for seen := 0; ; {
		changed := b.broker.Changed()
		stored := b.broker.Stored(subject)
		for ; seen < len(stored); seen++ {
			event := decode[T](t, b, stored[seen])
			if match == nil || match(event) {
				return event
			}
		}
		select {
		case <-changed:
		case <-timeout.C:
			what := "no " + subject + " was published"
			if match != nil {
				what += " that matches"
			}
			t.Fatalf("eventtest: %s, waiting %v; published were %s", what, max(0, b.options.wait), b.list(subject))
		}
	}
}

// RequireNotPublished fails the test at once, and prints the event, if an event of type T
// was published for which match returns true; a nil match accepts any. It does not wait:
// see to it that the code under test is done first, for instance with synctest.Wait.
func RequireNotPublished[T events.Event](t testing.TB, b *Bus, match func(T) bool) {
	t.Helper()
	requireBus(t, b, "RequireNotPublished")
	subject := subjectOf[T](t)
	for n, m := range b.broker.Stored(subject) {
		if match == nil || match(decode[T](t, b, m)) {
			t.Fatalf("eventtest: a %s was published that must not be, number %d: %s", subject, n+1, printed(m.Data))
		}
	}
}

// Published returns the events of type T that were published so far, in their order. If
// there are none, it returns an empty slice, not nil. An event that can't be decoded fails
// the test that made the Bus.
func Published[T events.Event](b *Bus) []T {
	if !b.made() {
		panic("eventtest.Published: the Bus is nil; make it with eventtest.New")
	}
	b.t.Helper()
	stored := b.broker.Stored(subjectOf[T](b.t))
	all := make([]T, 0, len(stored))
	for _, m := range stored {
		all = append(all, decode[T](b.t, b, m))
	}
	return all
}

// requireBus fails the test if the bus is nil.
func requireBus(t testing.TB, b *Bus, function string) {
	t.Helper()
	if !b.made() {
		t.Fatalf("eventtest.%s: the Bus is nil; make it with eventtest.New", function)
	}
}

// decode decodes a published message, and fails the test if that fails.
func decode[T events.Event](t testing.TB, b *Bus, m transport.Message) (event T) {
	t.Helper()
	if err := b.options.codec.Decode(m.Data, &event); err != nil {
		t.Fatalf("eventtest: what was published on %s can't be decoded as a %T: %v; if its publisher has a codec of its own, give it to New (option Codec): %s",
			m.Subject, event, err, printed(m.Data))
	}
	return event
}

// list describes what was published on the subject, and how much on other subjects.
func (b *Bus) list(subject string) string {
	var s strings.Builder
	stored := b.broker.Stored(subject)
	fmt.Fprintf(&s, "%d on %s", len(stored), subject)
	for _, m := range stored {
		s.WriteString("\n\t" + printed(m.Data))
	}
	var others []string
	for _, other := range b.broker.Subjects() {
		if other != subject {
			others = append(others, fmt.Sprintf("%d on %s", len(b.broker.Stored(other)), other))
		}
	}
	if len(others) == 0 {
		others = []string{"nothing"}
	}
	return s.String() + "\non other subjects: " + strings.Join(others, ", ")
}

// printed returns a payload as it is if it is JSON, and quoted otherwise.
func printed(payload []byte) string {
	if json.Valid(payload) {
		return string(payload)
	}
	return fmt.Sprintf("%q", payload)
}
