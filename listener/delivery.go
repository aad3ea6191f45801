package listener

import (
	"strconv"
	"strings"
	"time"

	"github.com/sgtickets/common/listener/internal/schedule"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Delivery is what a handler learns of its event beside the event itself. It is
// a value, may be kept, and its methods are safe for concurrent use. The zero
// value can be used in the unit test of a handler.
type Delivery struct {
	Subject     subjects.Subject
	Group       string    // the listener's queue group; empty without one
	Sequence    uint64    // of the event in its channel; the first is 1
	Timestamp   time.Time // when the server stored it
	Redelivered bool      // the server says that it sent the event before
	Attempt     int       // the number of times a handler of this listener ran on this event, this run included, since Listen began
	Deliveries  int       // how often the server says it sent it, this time included, to whatever member; 0 where it keeps no count
	Header      Header    // nil where the broker has none; not to be changed

	settlement settlement
}

// Header holds an event's headers, by name as it was written.
type Header = transport.Header

// ID returns the event's identity, by one rule for all brokers: that of its CloudEvents
// headers ce-source and ce-id where both are there and not empty, as
//
//	<source> <id>
//
// and else that of the stored message, as
//
//	<subject> <sequence> <nanoseconds since 1970 when the server stored it>
//
// In the parts a space becomes %20 and a percent sign %25, so that the two forms are never
// alike, nor those of two events. A redelivery has the same ID. If the event has those
// headers, a second stored copy has the same ID, too, on this subject or on another one;
// without them it has another ID. A Publisher's ce-source names its client ID, so that the
// same event published by two clients has two IDs, whatever its message ID. ID is empty for a
// Delivery that has none of this, such as the zero value.
func (d Delivery) ID() string {
	if source, id, ok := schedule.CloudEvent(d.Header); ok {
		return idPart.Replace(source) + " " + idPart.Replace(id)
	}
	if d.Sequence == 0 {
		return ""
	}
	return idPart.Replace(string(d.Subject)) + " " + strconv.FormatUint(d.Sequence, 10) + " " + strconv.FormatInt(d.Timestamp.UnixNano(), 10)
}

// idPart keeps the space apart, which separates the parts of an ID.
var idPart = strings.NewReplacer(" ", "%20", "%", "%25")

// Ack acknowledges the event: it was handled and does not come again. It is for
// listeners with [ManualAck], and returns [ErrNotManual] for others,
// [ErrSettled] if the event was settled before, [ErrNotDelivered] for a Delivery
// that did not come from a server, and [ErrSubscriptionClosed] when Listen has
// returned. A nil error means that the acknowledgement was sent; when it gets
// lost, the event comes again.
func (d Delivery) Ack() error {
	if d.settlement == nil {
		return ErrNotDelivered
	}
	return d.settlement.ack()
}

// Nak says that the attempt failed because of err. err may come from [RetryAfter], [Defer] or
// [Reject]. If err is nil, the event is given back and tried again like one that failed; the
// listener logs that at debug level only. What becomes of the event is the same as if the
// handler of a listener without ManualAck had returned it, once the handler has returned. Nak
// returns [ErrNotManual], [ErrSettled] and [ErrNotDelivered] as Ack does, and
// [ErrSubscriptionClosed] when Listen has returned, but not over NATS Streaming, where
// nothing had to be sent: the event comes again by itself.
func (d Delivery) Nak(err error) error {
	if d.settlement == nil {
		return ErrNotDelivered
	}
	return d.settlement.nak(err)
}

// settlement decides what becomes of one delivery.
type settlement interface {
	ack() error
	nak(error) error
}

// automatic settles when the handler returns, and lets nobody else do so.
type automatic struct{}

func (automatic) ack() error      { return ErrNotManual }
func (automatic) nak(error) error { return ErrNotManual }
