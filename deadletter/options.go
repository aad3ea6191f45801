package deadletter

import (
	"fmt"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/transport"
)

// Option is an option of [Redrive].
type Option func(*options) error

type options struct {
	where func(events.DeadLetter) bool // nil: all
	limit int                          // 0: none
}

func newOptions(opts []Option) (options, error) {
	var o options
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("%w option: nil", transport.ErrInvalid)
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// Where puts back only the events of the dead letters for which wanted returns
// true; by default all. It is called once for each event, from one goroutine, and
// must not change the dead letter. Those that it leaves are there for the next
// Redrive; with one that returns false always, Redrive only looks.
func Where(wanted func(events.DeadLetter) bool) Option {
	return func(o *options) error {
		if wanted == nil {
			return fmt.Errorf("%w option Where: nil", transport.ErrInvalid)
		}
		o.where = wanted
		return nil
	}
}

// Limit ends the Redrive when it has put back n events. By default there is no
// limit; at least 1.
func Limit(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option Limit: %d; must be at least 1; leave it out for none", transport.ErrInvalid, n)
		}
		o.limit = n
		return nil
	}
}
