package publisher

import (
	"fmt"

	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

// Observe tells observer what becomes of each publish: [observe.Sent] when the message is
// handed to the connection, and [observe.Decided] with its outcome, exactly once. A publish
// that is refused before it is handed over has observe.Decided alone, with an error
// that matches [ErrNotStored]. One that the connection refuses, such as an event that is too
// large, has both. Err is the error that the publisher's caller gets. Given several
// times, all are told, in that order; those of client.Observe come first. A panic of an
// observer is logged.
func Observe(observer observe.Observer) Option {
	return func(o *options) error {
		if f, isFunc := observer.(observe.Func); observer == nil || isFunc && f == nil {
			return fmt.Errorf("%w option Observe: nil", transport.ErrInvalid)
		}
		o.observers = append(o.observers, observer)
		return nil
	}
}
