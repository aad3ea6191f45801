package publisher

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/transport"
)

// Option is an option of [New].
type Option func(*options) error

type options struct {
	timeout    time.Duration
	codec      codec.Codec
	middleware []Middleware
}

const defaultTimeout = 30 * time.Second

func newOptions(opts []Option) (options, error) {
	o := options{timeout: defaultTimeout, codec: codec.JSON{}}
	err := option.Apply(transport.ErrInvalid, &o, opts)
	return o, err
}

// Timeout bounds each publish whose context has no deadline, the wait for a
// place in the window included; and for PublishAsync and PublishAll, whose
// context does not bound it, the wait for the server's confirmation. Default
// 30 s; must be positive.
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
		if c == nil {
			return fmt.Errorf("%w option Codec: nil", transport.ErrInvalid)
		}
		o.codec = c
		return nil
	}
}
