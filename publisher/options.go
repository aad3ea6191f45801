package publisher

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// Option is an option of [New], and of [NewRaw] where it says so.
type Option func(*options) error

type options struct {
	timeout    time.Duration
	codec      codec.Codec
	middleware []Middleware
	observers  []observe.Observer
	messageIDs []any    // each a func(T) string
	typed      []string // the names of the options that need a type of event
}

const defaultTimeout = 30 * time.Second

func newOptions(opts []Option) (options, error) {
	o := options{timeout: defaultTimeout, codec: codec.JSON{}}
	err := option.Apply(transport.ErrInvalid, &o, opts)
	return o, err
}

// Timeout bounds each publish whose context has no deadline, the waits for the window and for
// the subject included. For PublishAsync and PublishAll it bounds the wait for the server's confirmation,
// whatever the deadline of their context. Default 30 s; must be positive.
func Timeout(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("%w option Timeout: %v; must be positive", transport.ErrInvalid, d)
		}
		o.timeout = d
		return nil
	}
}

// Codec encodes the events with c instead of [codec.JSON]. The listeners of the
// subject, Node services included, have to understand it.
func Codec(c codec.Codec) Option {
	return func(o *options) error {
		if option.IsNil(c) {
			return fmt.Errorf("%w option Codec: nil", transport.ErrInvalid)
		}
		o.codec = c
		o.typed = append(o.typed, "Codec")
		return nil
	}
}

// MessageID gives each event the message ID that id returns for it, by which the broker
// recognises an event that it has stored already: publishing it again with the same ID does
// not store it again. It is also the event's ID in its headers, percent-encoded (CloudEvents'
// id). Consumers tell events apart by that and by ce-source, which names this client's ID:
// the same ID published by two clients is two events to them. It is printable ASCII, and
// neither begins nor ends with a space. By default, and where id returns "", each publish
// gets a random ID. NATS Streaming has no message IDs: there the ID is checked and told to
// observers, and not sent.
//
// id is called once for each publish, by as many goroutines as publish. [New] refuses a
// MessageID that is not of its type of events; one of [Defaults] concerns the publishers
// of its type alone.
func MessageID[T events.Event](id func(event T) string) Option {
	return func(o *options) error {
		if id == nil {
			return fmt.Errorf("%w option MessageID: nil", transport.ErrInvalid)
		}
		o.messageIDs = append(o.messageIDs, id)
		o.typed = append(o.typed, "MessageID")
		return nil
	}
}
