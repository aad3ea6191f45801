package platform

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

const (
	atOnce     = 64                     // events that a member has under way
	lookAgain  = 10 * time.Millisecond  // between two looks into an outbox that had nothing
	tryAgain   = 200 * time.Millisecond // between two tries to publish
	answerTime = 2 * time.Second        // for the server to say that it has stored an event
)

// outbox holds the events of one type that a service has still to publish. A
// service adds to it in the same breath as it changes its state, as in one
// transaction of a database: so there is no change that the others never hear of,
// however long the server is away. The zero value is ready.
type outbox[T events.Event] struct {
	mu       sync.Mutex
	waiting  []entry[T]
	underWay int // taken out, not known to be stored yet
}

type entry[T events.Event] struct {
	event T
	due   time.Time // zero: at once
}

// add leaves an event to be published once it is due.
func (o *outbox[T]) add(event T, due time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, entry[T]{event, due})
}

// take takes out at most n of those that are due.
func (o *outbox[T]) take(n int) []entry[T] {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	var taken, left []entry[T]
	for _, e := range o.waiting {
		if len(taken) < n && !e.due.After(now) {
			taken = append(taken, e)
		} else {
			left = append(left, e)
		}
	}
	o.waiting = left
	o.underWay += len(taken)
	return taken
}

// stored ends what take began.
func (o *outbox[T]) stored() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.underWay--
}

// putBack undoes what take did.
func (o *outbox[T]) putBack(e entry[T]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.underWay--
	o.waiting = append(o.waiting, e)
}

// content counts the events that are due and those of a later time.
func (o *outbox[T]) content() (due, later int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for _, e := range o.waiting {
		if e.due.After(now) {
			later++
		}
	}
	return o.underWay + len(o.waiting) - later, later
}

// open makes the outbox a part of its service.
func (o *outbox[T]) open(m Member) (listener.Runner, error) { //nolint:ireturn // implements part
	p, err := publisher.New[T](m.Client, publisher.Timeout(answerTime))
	if err != nil {
		return nil, err
	}
	return relay[T]{o, p, m}, nil
}

// relay is a member's hand in an outbox.
type relay[T events.Event] struct {
	outbox    *outbox[T]
	publisher *publisher.Publisher[T]
	member    Member
}

// Listen publishes what is in the outbox until ctx is done.
func (r relay[T]) Listen(ctx context.Context) error {
	for pause := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		entries := r.outbox.take(atOnce)
		allStored, err := r.publish(ctx, entries)
		switch {
		case err != nil:
			return err
		case !allStored:
			pause = tryAgain
		case len(entries) == 0:
			pause = lookAgain
		default:
			pause = 0
		}
	}
}

// publish publishes the entries side by side, and puts those back that were not
// stored.
func (r relay[T]) publish(ctx context.Context, entries []entry[T]) (allStored bool, err error) {
	// Not with ctx: what is under way at the end is better not left in doubt.
	ctx = context.WithoutCancel(ctx)
	pending := make([]*publisher.Pending, len(entries))
	failed := make([]error, len(entries))
	for i, e := range entries {
		pending[i], failed[i] = r.publisher.PublishAsync(ctx, e.event)
	}
	allStored = true
	for i, e := range entries {
		if failed[i] == nil {
			failed[i] = pending[i].Wait(ctx)
		}
		if failed[i] == nil {
			r.member.Journal.Published(r.member, e.event)
			r.outbox.stored()
			continue
		}
		// It was not stored (publisher.ErrNotStored), or perhaps it was
		// (publisher.ErrOutcomeUnknown), and is then stored twice. Those who listen
		// recognise that.
		r.outbox.putBack(e)
		allStored = false
		if errors.Is(failed[i], publisher.ErrInvalidEvent) {
			err = failed[i] // a mistake in this program, which no second try makes good
		}
	}
	return allStored, err
}
