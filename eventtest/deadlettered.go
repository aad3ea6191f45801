package eventtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/plural"
)

// longestRetries is how long RequireDeadLettered waits at most for an event that is tried
// again and again, as one is for ever with listener.NoDeadLetters.
const longestRetries = 5 * time.Minute

// RequireDeadLettered returns the first dead letter of an event of type T for which match
// returns true; a nil match accepts any. It says which queue group gave the event up, why
// (Reason and Error), after how many attempts, and holds the event's payload (Data):
//
//	dead := eventtest.RequireDeadLettered[events.TicketCreated](t, bus, func(d events.DeadLetter) bool {
//		return d.Reason == events.DeadLetterRejected
//	})
//
// It does not matter whether the event was published or came from [Deliver]. If there is no
// such dead letter yet, RequireDeadLettered waits for one: for 2 s by default (option
// [Wait]). The time begins again while a listener of the bus tries an event of type T again,
// for 5 minutes at most: with the default options of a listener 20 attempts take more than a
// minute, which is nothing in a synctest bubble; elsewhere give the listener fewer
// (listener.MaxAttempts) or shorter waits (listener.Backoff). Then the test fails at once,
// and prints what was dead-lettered and which events are still tried.
//
// match may be called several times with the same dead letter.
func RequireDeadLettered[T events.Event](t testing.TB, b *Bus, match func(events.DeadLetter) bool) events.DeadLetter {
	t.Helper()
	requireBus(t, b, "RequireDeadLettered")
	subject := subjectOf[T](t)
	began := time.Now()
	timeout := time.NewTimer(b.options.wait)
	defer timeout.Stop()
	for {
		changed := b.broker.Changed()
		for _, d := range b.deadLetters(subject) {
			if match == nil || match(d) {
				return d
			}
		}
		select {
		case <-changed:
		case now := <-timeout.C:
			until := b.recorder.nextAttempt(subject).Add(b.options.wait)
			if b.options.wait > 0 && until.After(now) && until.Sub(began) < longestRetries {
				timeout.Reset(until.Sub(now))
				continue
			}
			what := "no " + subject + " was dead-lettered"
			if match != nil {
				what += " that matches"
			}
			t.Fatalf("eventtest: %s, waiting %v; dead-lettered were %s", what, time.Since(began).Round(time.Millisecond), b.listDeadLetters(subject))
		}
	}
}

// RequireNotDeadLettered fails the test at once, and prints the dead letter, if an event of
// type T was dead-lettered for which match returns true; a nil match accepts any. It does
// not wait: see to it that the code under test is done first, for instance with
// synctest.Wait.
func RequireNotDeadLettered[T events.Event](t testing.TB, b *Bus, match func(events.DeadLetter) bool) {
	t.Helper()
	requireBus(t, b, "RequireNotDeadLettered")
	subject := subjectOf[T](t)
	for _, d := range b.deadLetters(subject) {
		if match == nil || match(d) {
			t.Fatalf("eventtest: a %s was dead-lettered that must not be: %s", subject, describe(&d))
		}
	}
}

// DeadLetters returns the dead letters of events of type T that were stored so far, of all
// queue groups, the first to fail first. If there are none, it returns an empty slice, not
// nil.
func DeadLetters[T events.Event](b *Bus) []events.DeadLetter {
	if !b.made() {
		panic("eventtest.DeadLetters: the Bus is nil; make it with eventtest.New")
	}
	b.t.Helper()
	return b.deadLetters(subjectOf[T](b.t))
}

// deadLetters returns the dead letters of a subject's events, whatever the group.
func (b *Bus) deadLetters(subject string) []events.DeadLetter {
	return slices.DeleteFunc(b.allDeadLetters(), func(d events.DeadLetter) bool { return string(d.Original) != subject })
}

// allDeadLetters returns all dead letters, the first to fail first. What else is stored on
// their subjects is none.
func (b *Bus) allDeadLetters() []events.DeadLetter {
	found := []events.DeadLetter{}
	for _, stored := range b.broker.Subjects() {
		if !strings.HasPrefix(stored, "dead.") {
			continue
		}
		for _, m := range b.broker.Stored(stored) {
			var d events.DeadLetter
			if err := (codec.JSON{}).Decode(m.Data, &d); err == nil && string(d.Subject()) == stored {
				found = append(found, d)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b events.DeadLetter) int {
		return cmp.Or(a.FailedAt.Compare(b.FailedAt), cmp.Compare(a.Sequence, b.Sequence))
	})
	return found
}

// listDeadLetters describes the dead letters of the subject, how many there are of others,
// and which events of the subject may still become dead letters.
func (b *Bus) listDeadLetters(subject string) string {
	var s strings.Builder
	own := b.deadLetters(subject)
	fmt.Fprintf(&s, "%d of %s", len(own), subject)
	for i := range own {
		s.WriteString("\n\t" + describe(&own[i]))
	}
	others := make(map[string]int)
	for _, d := range b.allDeadLetters() {
		others[string(d.Original)]++
	}
	delete(others, subject)
	s.WriteString("\nof other subjects: " + counts(others))
	retried := b.recorder.retriedEvents(subject)
	for _, r := range retried {
		s.WriteString("\n" + r.String())
	}
	if len(retried) > 0 {
		s.WriteString("\nan event is dead-lettered after its last attempt: " +
			"give the listener fewer (MaxAttempts) or shorter waits (Backoff, VersionGapTimeout), or wait longer (option Wait)")
	}
	return s.String()
}

// counts returns how many there are of each subject, in alphabetical order.
func counts(of map[string]int) string {
	if len(of) == 0 {
		return "nothing"
	}
	var all []string
	for _, subject := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%d of %s", of[subject], subject))
	}
	return strings.Join(all, ", ")
}

// describe returns a dead letter as one line.
func describe(d *events.DeadLetter) string {
	payload := printed(d.Data)
	if d.Truncated {
		payload = "its payload is too large for a dead letter"
	}
	return fmt.Sprintf("number %d, given up by %s as %s after %s (%s): %s",
		d.Sequence, d.Group, d.Reason, plural.Count(d.Attempts, "attempt", "attempts"), d.Error, payload)
}
