package platform

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

const (
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
	waiting  []letter[T]
	underWay int // taken out, not known to be stored yet
}

type letter[T events.Event] struct {
	event T
	due   time.Time // zero: at once
}

// add leaves an event to be published once it is due.
func (o *outbox[T]) add(event T, due time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, letter[T]{event, due})
}

// take takes out one that is due.
func (o *outbox[T]) take() (l letter[T], ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	i := slices.IndexFunc(o.waiting, func(l letter[T]) bool { return !l.due.After(now) })
	if i < 0 {
		return l, false
	}
	l = o.waiting[i]
	o.waiting = slices.Delete(o.waiting, i, i+1)
	o.underWay++
	return l, true
}

// stored ends what take began.
func (o *outbox[T]) stored() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.underWay--
}

// putBack undoes what take did.
func (o *outbox[T]) putBack(l letter[T]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.underWay--
	o.waiting = slices.Insert(o.waiting, 0, l)
}

// content counts the events that are due and those of a later time.
func (o *outbox[T]) content() (due, later int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for _, l := range o.waiting {
		if l.due.After(now) {
			later++
		}
	}
	return o.underWay + len(o.waiting) - later, later
}

// open makes the outbox a part of its service.
func (o *outbox[T]) open(m Member) (listener.Runner, error) {
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
		l, ok := r.outbox.take()
		if !ok {
			pause = lookAgain
			continue
		}
		// Not with ctx: one that is under way at the end is better not left in doubt.
		err := r.publisher.Publish(context.WithoutCancel(ctx), l.event)
		switch {
		case err == nil:
			r.member.Journal.Published(r.member, l.event)
			r.outbox.stored()
			pause = 0
		case errors.Is(err, publisher.ErrInvalidEvent):
			return err // a mistake in this program, which no second try makes good
		default:
			// It was not stored (publisher.ErrNotStored), or perhaps it was
			// (publisher.ErrOutcomeUnknown), and is then stored twice. Those who
			// listen recognise that.
			r.outbox.putBack(l)
			pause = tryAgain
		}
	}
}
