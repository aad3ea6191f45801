package deadletter

import (
	"context"
	"fmt"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/listener"
)

// handle takes a dead letter that was delivered, and decides about its event if the event
// is new. If it returns nil, the dead letter is settled, or it is left open until the
// event's publish is decided. An error leaves it alone.
func (r *redriver) handle(ctx context.Context, payload []byte, d listener.Delivery) error {
	key := keyOf(&d)
	r.mu.Lock()
	for r.limitReached() && r.publishing > 0 && !r.ending {
		r.changed.Wait() // an event that can't be put back makes room for this one
	}
	known := r.deadLetters[key]
	switch {
	case r.ending, r.limitReached(), d.Sequence > r.last: // the next Redrive gets it
		r.mu.Unlock()
		return r.leaveAlone(key)
	case known != nil:
		known.delivery, known.claimed = d, false
		r.mu.Unlock()
		return r.settle(known)
	}
	r.handling, r.quietSince = true, time.Now()
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.handling, r.quietSince = false, time.Now()
	}()

	dead, err := decode(d.Sequence, payload)
	dl, isNew := r.enter(&deadLetter{key: key, delivery: d}, dead.ID, err == nil)
	if isNew {
		r.process(ctx, dl.event, dead, err)
	}
	return r.settle(dl)
}

// enter adds a dead letter and the event that it is about. It reports whether the event is
// new. A message that is not a dead letter is an event of its own: its ID means nothing.
func (r *redriver) enter(dl *deadLetter, id string, valid bool) (_ *deadLetter, isNew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deadLetters[dl.key] = dl
	if e, known := r.events[id]; known && valid {
		dl.event = e
		e.deadLetters = append(e.deadLetters, dl)
		r.counter.add(e.outcome, true)
		return dl, false
	}
	dl.event = &event{id: id, deadLetters: []*deadLetter{dl}}
	if valid {
		r.events[id] = dl.event
	}
	return dl, true
}

// process publishes a new event, or decides that it is not published. invalid says why the
// dead letter can't be used.
func (r *redriver) process(ctx context.Context, e *event, dead events.DeadLetter, invalid error) {
	if invalid != nil {
		r.decide(e, failed, invalid)
		return
	}
	if dead.Group != r.group || dead.Original != r.subject {
		r.decide(e, kept, nil) // names with dots in them: another group and subject share the dead letters' subject
		return
	}
	switch wanted, err := r.wanted(ctx, dead); {
	case err != nil:
		r.decide(e, failed, err)
	case wanted:
		r.publish(ctx, e, dead)
	default:
		r.decide(e, kept, nil)
	}
}

// wanted calls the caller's filter, in a goroutine of its own. If the filter panics or
// ends that goroutine, wanted returns an error, which concerns this dead letter alone.
func (r *redriver) wanted(ctx context.Context, dead events.DeadLetter) (bool, error) {
	if r.options.where == nil {
		return true, nil
	}
	is, err := await.Do(context.WithoutCancel(ctx), func() (is bool, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("it panicked: %v", v)
			}
		}()
		return r.options.where(dead), nil
	}, nil)
	if err != nil {
		err = fmt.Errorf("the function of option Where: %w", err)
	}
	return is, err
}

// decode reads the dead letter in the message with that sequence.
func decode(sequence uint64, payload []byte) (events.DeadLetter, error) {
	var dead events.DeadLetter
	if err := (codec.JSON{}).Decode(payload, &dead); err != nil {
		return dead, fmt.Errorf("message %d is not a dead letter: %w", sequence, err)
	}
	if err := dead.Validate(); err != nil {
		return dead, fmt.Errorf("message %d is not a valid dead letter: %w", sequence, err)
	}
	return dead, nil
}
