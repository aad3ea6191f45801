// Package observe tells what becomes of events on their way through listeners and
// publishers: also what no middleware sees, such as payloads that can't be decoded,
// deliveries that are skipped, retries and dead letters. An [Observer] is given to all
// of a client (client.Observe), to one listener (listener.Observe) or to one publisher
// (publisher.Observe).
package observe

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/subjects"
)

// Observer is told what happens. Observe is called on the goroutine on which it
// happens, possibly by many at a time: it must be safe for concurrent use and must not
// block. It must not call the listener or publisher that it observes. Where no observer
// is set, nothing is made for one.
type Observer interface {
	Observe(o Observation)
}

// Func is a function as an [Observer].
type Func func(o Observation)

// Observe calls f.
func (f Func) Observe(o Observation) { f(o) }

// Kind says what happened.
type Kind int

// What happens to a delivery, in this order, and to a publish.
const (
	// Delivered: the broker delivered an event, for the first time or again.
	Delivered Kind = iota + 1
	// Begun: an attempt begins: the handler is about to be called.
	Begun
	// Returned: the handler has returned; Err is what it returned, or its panic, and
	// Took how long it ran.
	Returned
	// Failed: an attempt failed, or the payload could not be made an event. Err says
	// why. If Retry is set, the event is tried again after RetryIn; if not, it is given up,
	// and a further Failed with Retry says that its dead letter could not be stored. If Waits
	// is set, nothing has failed: the event can't be handled yet, and the run does not count
	// as an attempt.
	Failed
	// DeadLettered: the event's dead letter is stored. Reason is the dead letter's, and
	// Err why the event was given up.
	DeadLettered
	// Skipped: this delivery is not run. Reason is one of the Skip constants. RetryIn is set
	// for SkipEarly where it is known when the event is tried; Err for SkipLate.
	Skipped
	// Settled: the broker was told what became of the event. Reason is one of the
	// Settle constants; Err is set if it could not be told.
	Settled
	// Interrupted: the connection was lost. Deliveries that no handler has begun are skipped
	// and come again, and so do those that were on their way. It concerns a listener, not one
	// delivery.
	Interrupted
	// Sent: a publish is handed to the connection, which may still refuse it, as too large.
	Sent
	// Decided: the outcome of a publish is known. Err is nil when the event is stored.
	Decided
)

var kindNames = [...]string{
	Delivered: "delivered", Begun: "begun", Returned: "returned", Failed: "failed", DeadLettered: "dead-lettered",
	Skipped: "skipped", Settled: "settled", Interrupted: "interrupted", Sent: "sent", Decided: "decided",
}

// String returns the kind's name.
func (k Kind) String() string {
	if k >= 1 && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Why a delivery is skipped: the Reason of [Skipped].
const (
	// SkipHandled: the event was handled before, or was acknowledged while it waited for its
	// next attempt. A delivery that comes after that is acknowledged again.
	SkipHandled = "handled"
	// SkipCopy: a copy of the event was handled: another message with the same CloudEvents
	// source, id and type, and the same payload. The copy is acknowledged.
	SkipCopy = "copy"
	// SkipHere: the event is here already, and waits or runs.
	SkipHere = "here"
	// SkipLate: its ack wait passed before a handler was free; it comes again.
	SkipLate = "late"
	// SkipEarly: its next attempt is not due yet, and it can't be held here so long; it
	// comes again.
	SkipEarly = "early"
	// SkipInterrupted: the connection was lost; it comes again.
	SkipInterrupted = "interrupted"
	// SkipDraining: the listener ends; the event comes again, to it or to another member.
	SkipDraining = "draining"
)

// How an event is settled: the Reason of [Settled].
const (
	// SettleAck: acknowledged.
	SettleAck = "ack"
	// SettleNak: given back to the broker, to come again after RetryIn.
	SettleNak = "nak"
	// SettleTerm: ended without being handled: its dead letter is stored.
	SettleTerm = "term"
)

// Observation is one thing that happened. Fields that don't belong to its Kind are
// zero. Later versions may add fields and kinds.
type Observation struct {
	Kind    Kind
	Subject subjects.Subject
	Group   string // the listener's queue group

	// Of a delivery.
	Sequence    uint64
	Timestamp   time.Time // when the broker stored it
	Redelivered bool
	Attempt     int // runs of this listener's handler, this one included; 0: none has run
	Deliveries  int // the broker's count, to whatever member; 0: it keeps none
	Bytes       int // of the payload, of a publish, too

	// Of a publish.
	MessageID string

	Header  map[string][]string // not to be changed; nil where the broker has none
	Err     error
	Reason  string
	Took    time.Duration
	Retry   bool
	RetryIn time.Duration
	Waits   bool // of Failed: the event can't be handled yet, which is no failure
	Open    bool // of Returned, with listener.ManualAck: the handler has not settled the event so far
}
