package eventtest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/observe"
)

// retriedEvent is an event that a handler failed on, and that the listener tries again.
type retriedEvent struct {
	message messageKey
	failed  observe.Observation // the last failure
	due     time.Time           // when the next attempt is due
}

func (r *retriedEvent) String() string {
	what := fmt.Sprintf("attempt %d failed", r.failed.Attempt)
	if r.failed.Waits {
		what = "it can't be handled yet"
	}
	group := r.message.group
	if group == "" {
		group = "a listener without a queue group"
	}
	return fmt.Sprintf("number %d is still tried by %s: %s, the next attempt follows after %v: %v",
		r.message.sequence, group, what, r.failed.RetryIn, r.failed.Err)
}

// record keeps track of the events that are tried again. It is called with the lock held.
func (r *recorder) record(key messageKey, o observe.Observation) {
	switch o.Kind { //nolint:exhaustive // the others change nothing
	case observe.Failed:
		if !o.Retry {
			return
		}
		if r.retried == nil {
			r.retried = make(map[messageKey]*retriedEvent)
		}
		r.retried[key] = &retriedEvent{key, o, time.Now().Add(o.RetryIn)}
	case observe.DeadLettered, observe.Settled:
		if o.Reason != observe.SettleNak {
			delete(r.retried, key)
		}
	}
}

// nextAttempt returns when the latest attempt is due that is known to follow, of the events
// on the subject on which a handler failed; the zero time if there is none.
func (r *recorder) nextAttempt(subject string) (due time.Time) {
	for _, e := range r.retriedEvents(subject) {
		if !e.failed.Waits && e.due.After(due) {
			due = e.due
		}
	}
	return due
}

// retriedEvents returns the events on the subject that are tried again.
func (r *recorder) retriedEvents(subject string) []*retriedEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*retriedEvent
	for _, e := range r.retried {
		if e.message.subject == subject {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *retriedEvent) int {
		return cmp.Or(cmp.Compare(a.message.sequence, b.message.sequence), cmp.Compare(a.message.group, b.message.group))
	})
	return found
}
