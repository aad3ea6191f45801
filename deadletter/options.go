package deadletter

import (
	"fmt"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/option"
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
	err := option.Apply(transport.ErrInvalid, &o, opts)
	return o, err
}

// Where makes Redrive put back only the events of the dead letters for which wanted returns
// true. By default it puts back all. Redrive calls wanted once for each event, never twice
// at a time; wanted must not change the dead letter. The other dead letters stay for the
// next Redrive. If wanted always returns false, Redrive changes nothing.
func Where(wanted func(events.DeadLetter) bool) Option {
	return func(o *options) error {
		if wanted == nil {
			return fmt.Errorf("%w option Where: nil", transport.ErrInvalid)
		}
		o.where = wanted
		return nil
	}
}

// Limit ends the Redrive when it has put back n events. n must be at least 1. By default
// there is no limit.
func Limit(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option Limit: %d; must be at least 1; leave it out for none", transport.ErrInvalid, n)
		}
		o.limit = n
		return nil
	}
}
