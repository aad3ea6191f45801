package listener

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/transport"
)

const (
	defaultMaxAttempts  = 20
	defaultFirstBackoff = 100 * time.Millisecond
	defaultMaxBackoff   = 30 * time.Second
)

// MaxAttempts is how often an event is tried before it becomes a dead letter.
// Default 20; at least 1: the first failure is the last. What counts is
// [Delivery.Attempt]. With [NoDeadLetters] an event is tried without end, once an
// ack wait when its attempts are used up.
func MaxAttempts(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option MaxAttempts: %d; must be at least 1", transport.ErrInvalid, n)
		}
		o.maxAttempts = n
		return nil
	}
}

// Backoff is how long a failed event waits for its next attempt: first after the
// first, twice as long after each further one, at most limit; of each time the last
// half is drawn by chance. Default 100 ms and 30 s, with which the 20 attempts by
// default take about four minutes. first must be positive, and limit not less.
//
// Over NATS Streaming, which sends what is not acknowledged again after each ack
// wait, an event waits here as long as that lasts, at least a tenth of it and
// [HandlerTimeout] before its end; beyond it the redelivery is the next attempt, by
// whichever member gets it. With the defaults: at 0, 0.1, 0.3, 0.7, 1.5 and 3.1 s,
// then each 5 s, so that 20 attempts take about a minute and a quarter.
func Backoff(first, limit time.Duration) Option {
	return func(o *options) error {
		if first <= 0 || limit < first {
			return fmt.Errorf("%w option Backoff: first %v, limit %v; the first must be positive, and the limit not less", transport.ErrInvalid, first, limit)
		}
		o.backoff, o.backoffSet = backoff.Policy{First: first, Max: limit}, true
		return nil
	}
}
