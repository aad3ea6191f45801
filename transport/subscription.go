package transport

import (
	"context"
	"fmt"
	"math"
	"time"
)

// SubscribeConfig says what to receive.
type SubscribeConfig struct {
	Subject     string // a pattern, where the broker has wildcards; else ErrUnsupported
	Durable     string // empty: nothing is remembered beyond the subscription
	Group       string // queue group; empty: this subscription gets every message
	Start       Position
	AckWait     time.Duration // what is not acknowledged this long after it was sent is sent again
	MaxInFlight int           // how many unacknowledged messages the broker sends at most

	// EventType names the type of events that the receiver makes of messages; empty: it can be
	// told nothing of, or each message is taken as it is. A broker that can keeps it beside the
	// group, so that a member with another type is warned of.
	EventType string

	// Room returns how many unacknowledged messages are wanted now, from 1 to
	// MaxInFlight; nil: MaxInFlight. It is asked while they are requested, and must
	// not block. A broker that sends as it sees fit does not ask.
	Room func() int

	// Startable is Room for a broker that delivers a message a limited number of times, see
	// [Delivery.Last]: how many unacknowledged messages there are at most if no more are requested
	// than handlers could begin at once; nil: Room. A message that waits here uses a delivery up
	// if the process ends.
	Startable func() int

	// AckWaitChanged, unless it is nil, is called when the broker applies another ack wait than
	// it did: somebody has changed it there. It must not block.
	AckWaitChanged func(time.Duration)

	// Interrupted, unless it is nil, is called when the connection was lost: what was
	// delivered before and no handler has begun comes again, here or elsewhere, and is
	// to be dropped. It must not block.
	Interrupted func()
}

// Validate returns an error if a broker that can do what f says can't take s:
// [ErrUnsupported] for a pattern without wildcards, [ErrInvalid] otherwise.
func (s SubscribeConfig) Validate(f Features) error {
	switch err := s.Start.Validate(); {
	case err != nil:
		return err
	case IsPattern(s.Subject) && !f.Wildcards:
		return fmt.Errorf("%w: this broker has no wildcards, as in %q; subscribe to each subject by its name", ErrUnsupported, s.Subject)
	case s.AckWait <= 0:
		return fmt.Errorf("%w ack wait %v: must be positive", ErrInvalid, s.AckWait)
	case f.AckWaitUnit > 0 && (s.AckWait%f.AckWaitUnit != 0 || s.AckWait/f.AckWaitUnit > math.MaxInt32):
		return fmt.Errorf("%w ack wait %v: this broker takes 1 to %d times %v", ErrInvalid, s.AckWait, math.MaxInt32, f.AckWaitUnit)
	case s.MaxInFlight < 1 || s.MaxInFlight > math.MaxInt32:
		return fmt.Errorf("%w max in flight %d: must be from 1 to %d", ErrInvalid, s.MaxInFlight, math.MaxInt32)
	default:
		return nil
	}
}

// Subscription is a running subscription. Its methods are safe for concurrent use.
type Subscription interface {
	// Stop ends the intake: once it has returned, deliver is not called again.
	// Deliveries from before can still be settled. It must not be called from
	// within deliver. Stopping again does nothing.
	Stop()

	// Close stops, sends the acknowledgements made so far and leaves. What was
	// not acknowledged is sent to other members, or again later; a durable is
	// kept. It returns when ctx is done at the latest; the broker may then still
	// count the member for a while.
	Close(ctx context.Context) error

	// AckWait returns what the broker applies: what was asked for, unless it knew
	// the durable with another one and keeps that.
	AckWait() time.Duration

	// Done is closed when the subscription is over, by Close or for another reason.
	Done() <-chan struct{}

	// Err is nil until Done is closed; then it says why, ErrClosed after Close.
	Err() error
}

// BacklogCounter is implemented by a Subscription whose broker can say what waits for it there.
type BacklogCounter interface {
	// Backlog asks the broker how many messages it has for the subscription, or for its group,
	// that it has sent to no member yet. It returns when ctx is done at the latest. The error
	// matches [ErrUnsupported] if the broker can't say, and [ErrForbidden] if it may not be asked.
	Backlog(ctx context.Context) (uint64, error)
}

// Delivery is one message as it was delivered. Data and Header must not be
// changed, and stay valid.
type Delivery struct {
	Subject     string
	Sequence    uint64    // of the message in its channel or stream
	Timestamp   time.Time // when the broker stored it
	Redelivered bool
	Deliveries  int // how often the broker says it sent it, this time included; 0 if it keeps no count
	Header      Header
	Data        []byte
	Settler     Settler

	// Last: the broker sends it no more, whatever becomes of it: it counts deliveries, and
	// this was the last one. Only what is settled before the ack wait ends is not lost. That
	// wait can be begun anew, and a late Ack does no harm.
	Last bool

	// Once: the sender delivers it only this once. A failed event is not held for its next
	// attempt by the member that receives it, and its delay is not drawn by chance. No broker sets it.
	Once bool
}

// Settler tells the broker what became of a delivery. Its methods do not wait
// for the network. They return ErrSubscriptionClosed when it is too late, and
// ErrUnsupported when the broker can't.
type Settler interface {
	// Ack: the message was handled and must not come again.
	Ack() error
	// Nak: send it again, after the delay.
	Nak(delay time.Duration) error
	// InProgress: begin the ack wait anew.
	InProgress() error
	// Term: never send it again, although it was not handled.
	Term(reason string) error
	// Release: the receiver of the delivery will not settle it, and it comes again once its
	// ack wait has passed. After that it does not count against MaxInFlight, if the transport
	// requests messages (as JetStream does). It may still be acknowledged, late.
	Release()
}
