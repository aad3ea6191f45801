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

// RequirePublished returns the first published event of type T for which match
// returns true; nil matches any. If there is none yet it waits for one, by default
// for 2 s (option [Wait]), since it may be published by a goroutine. Then the test
// fails at once, and prints what was published instead.
//
// Published is what the broker has stored: an event of unknown outcome may be
// among them, one of a Publish that is not stored is not.
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

// RequireNotPublished fails the test at once, and prints the event, if one of type T
// was published for which match returns true; nil matches any. It does not wait: let
// what is under test come to an end first, in a bubble with synctest.Wait.
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

// Published returns the events of type T that were published so far, in their order; of
// none, an empty slice. One that can't be decoded fails the test that made the Bus.
func Published[T events.Event](b *Bus) []T {
	if b == nil {
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

func requireBus(t testing.TB, b *Bus, function string) {
	t.Helper()
	if b == nil {
		t.Fatalf("eventtest.%s: the Bus is nil; make it with eventtest.New", function)
	}
}

func decode[T events.Event](t testing.TB, b *Bus, m transport.Message) (event T) {
	t.Helper()
	if err := b.options.codec.Decode(m.Data, &event); err != nil {
		t.Fatalf("eventtest: what was published on %s can't be decoded as a %T: %v; if its publisher has a codec of its own, give it to New (option Codec): %s",
			m.Subject, event, err, printed(m.Data))
	}
	return event
}

// list prints what was published on the subject, and how much on which others.
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

// printed is a payload as it is if it is JSON, else quoted.
func printed(payload []byte) string {
	if json.Valid(payload) {
		return string(payload)
	}
	return fmt.Sprintf("%q", payload)
}
