package deadletter

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// redriver does the work of one Redrive. Only one goroutine uses it; all others reach its
// queue alone.
type redriver struct {
	session *session.Session
	options options
	group   string
	subject subjects.Subject
	last    uint64 // sequence of the newest dead letter when the Redrive began
	log     *slog.Logger
	queue   *redeliveryQueue

	deadLetters map[messageKey]*deadLetter
	givenBack   map[messageKey]transport.Settler // dead letters that are left alone, see leaveAlone
	events      map[string]*event                // by ID of the dead letter
	publishing  int                              // how many publishes have no outcome yet
	counter     *counter
	firstErr    error // why the first event failed that could not be put back

	ackWait time.Duration // that the server applies
	// quietSince is when the last dead letter came that had not come before, or when the
	// wait for one began again.
	quietSince time.Time
}

// run works until all dead letters are decided, or ctx, the subscription or the limit ends
// it.
func (r *redriver) run(ctx context.Context, sub transport.Subscription) error {
	r.ackWait, r.quietSince = sub.AckWait(), time.Now()
	timer := time.NewTimer(quietTime)
	defer timer.Stop()
	for {
		r.takeAll(ctx)
		if ctx.Err() == nil && r.done(ctx) {
			return nil
		}
		timer.Reset(r.nextCheck())
		select {
		case <-r.queue.wake:
		case <-timer.C:
		case <-sub.Done():
			r.abandonPublishes(sub.Err())
			return sub.Err()
		case <-ctx.Done():
			r.abandonPublishes(await.Cause(ctx))
			return await.Cause(ctx)
		}
	}
}

// takeAll takes what the transport has reported.
func (r *redriver) takeAll(ctx context.Context) {
	for ctx.Err() == nil && r.session.Conn.Err() == nil {
		if r.queue.takeInterrupted() {
			r.quietSince = time.Now() // what was dropped comes again
		}
		for _, published := range r.queue.takeResults() {
			r.takeResult(published)
		}
		if r.limitReached() {
			return
		}
		d, ok := r.queue.takeDelivery()
		if !ok {
			return
		}
		r.takeDelivery(ctx, d)
	}
}

// limitReached reports whether as many events as the limit allows are put back or being
// published.
func (r *redriver) limitReached() bool {
	return r.options.limit > 0 && r.counter.result().Redriven+r.publishing >= r.options.limit
}

// quietUntil returns when the Redrive is over if no new dead letter comes until then. The
// server sends the messages of a dead member to the next member of the group after each
// ack wait. With one dead member in the group they are here after two ack waits.
func (r *redriver) quietUntil() time.Time { return r.quietSince.Add(2*r.ackWait + quietTime) }

// nextCheck returns how long to wait if nothing happens.
func (r *redriver) nextCheck() time.Duration {
	if r.publishing > 0 {
		return quietTime
	}
	return time.Until(r.quietUntil())
}

// done reports whether the Redrive is over.
func (r *redriver) done(ctx context.Context) bool {
	switch {
	case r.publishing > 0:
		return false
	case r.limitReached():
		return true
	case time.Now().Before(r.quietUntil()):
		return false
	}
	if !answers(ctx, r.session.Conn) {
		r.quietSince = time.Now() // nothing came because the broker could not send
		return false
	}
	return r.queue.empty()
}

// takeDelivery takes a dead letter that was delivered, and decides about its event if the
// event is new.
func (r *redriver) takeDelivery(ctx context.Context, d transport.Delivery) {
	key := messageKey{d.Sequence, d.Timestamp.UnixNano()}
	if d.Sequence > r.last {
		r.leaveAlone(key, d.Settler) // it was stored after this Redrive began
		return
	}
	if known, again := r.deadLetters[key]; again {
		known.settler = d.Settler
		r.settle(known)
		return
	}
	r.quietSince = time.Now()
	dl := &deadLetter{key: key, settler: d.Settler}
	r.deadLetters[key] = dl
	dead, err := decode(d)
	if e, known := r.events[dead.ID]; known && err == nil {
		dl.event = e
		e.deadLetters = append(e.deadLetters, dl)
		if e.outcome != undecided {
			r.counter.add(e.outcome, true)
			r.settle(dl)
		}
		return
	}
	dl.event = &event{id: dead.ID, deadLetters: []*deadLetter{dl}}
	if err != nil {
		r.decide(dl.event, failed, err) // other dead letters may have its ID, so it is not entered
		return
	}
	r.events[dead.ID] = dl.event
	r.process(ctx, dl.event, dead)
}

// process publishes a new event, or decides that it is not published.
func (r *redriver) process(ctx context.Context, e *event, dead events.DeadLetter) {
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

// decode reads a dead letter.
func decode(d transport.Delivery) (events.DeadLetter, error) {
	var dead events.DeadLetter
	if err := (codec.JSON{}).Decode(d.Data, &dead); err != nil {
		return dead, fmt.Errorf("message %d is not a dead letter: %w", d.Sequence, err)
	}
	if err := dead.Validate(); err != nil {
		return dead, fmt.Errorf("message %d is not a valid dead letter: %w", d.Sequence, err)
	}
	return dead, nil
}

// decide records what becomes of an event, and settles its dead letters.
func (r *redriver) decide(e *event, o outcome, err error) {
	e.outcome = o
	if err != nil {
		r.log.Warn("event not put back: its dead letter stays for the next Redrive", slog.String("id", e.id), slog.Any("error", err))
		if r.firstErr == nil {
			r.firstErr = err
		}
	}
	for i, dl := range e.deadLetters {
		r.counter.add(o, i > 0)
		r.settle(dl)
	}
}

// settle tells the broker what became of a dead letter, once that is decided. If the broker
// does not get to know, it delivers the dead letter again, to this Redrive or to the next.
func (r *redriver) settle(dl *deadLetter) {
	switch dl.event.outcome {
	case undecided:
		return
	case redriven:
		_ = dl.settler.Ack()
	case kept, failed:
		r.leaveAlone(dl.key, dl.settler)
	}
	dl.settler = nil
}

// leaveAlone lets a dead letter come again later. Where the broker can, it is given back,
// so that it takes no room. The more dead letters are given back, the later each comes, so
// that the broker has time for those that have not come yet.
func (r *redriver) leaveAlone(key messageKey, s transport.Settler) {
	if r.session.Conn.Features().Nak {
		r.givenBack[key] = s
		_ = s.Nak(r.ackWait + time.Duration(len(r.givenBack))*time.Millisecond)
	}
}

// giveBackNow makes the broker deliver the dead letters that were left alone to the next
// Redrive at once. It is called when the subscription has stopped.
func (r *redriver) giveBackNow() {
	for _, s := range r.givenBack {
		_ = s.Nak(0)
	}
}

// failure returns the error for the events that could not be put back.
func (r *redriver) failure() error {
	if r.firstErr == nil {
		return nil
	}
	return fmt.Errorf("%d of %d could not be put back, the first since: %w", r.counter.result().Failed, len(r.deadLetters), r.firstErr)
}
