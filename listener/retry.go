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

// MaxAttempts is how often an event is tried before it becomes a dead letter, as
// [Delivery.Attempt] counts: an attempt is a run of this listener's handler that failed. What
// the server counts is no attempt, since it also counts deliveries that no handler saw. So of
// a queue group's M members each may try an event that often, M times MaxAttempts in all, and
// the next Listen, as after a restart, begins at 1. Default 20; at least 1, with which the
// first failure is the last. With [NoDeadLetters] an event whose attempts are used up is
// tried again once an ack wait, without end.
func MaxAttempts(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("%w option MaxAttempts: %d; must be at least 1", transport.ErrInvalid, n)
		}
		o.maxAttempts = n
		return nil
	}
}

// Backoff is how long a failed event waits for its next attempt: first after the first
// attempt, twice as long after each further one, at most limit. The last half of each
// wait is drawn by chance. Default 100 ms and 30 s, with which the 20 attempts by default
// take about four minutes. first must be positive, and limit not less. With [MaxAttempts] of
// 1 no event waits, and Backoff has no effect.
//
// NATS Streaming sends an event that is not acknowledged again after each ack wait. There the
// listener holds a failed event only within its ack wait. The next attempt must begin early
// enough: before the ack wait ends, the [HandlerTimeout] and a tenth of the ack wait must be
// left. Beyond that the redelivery is the next attempt, by whichever member gets it. With the
// defaults the attempts are at 0, 0.1, 0.3, 0.7, 1.5 and 3.1 s, and then every 5 s, so that
// 20 attempts take about a minute and a quarter.
func Backoff(first, limit time.Duration) Option {
	return func(o *options) error {
		if first <= 0 || limit < first {
			return fmt.Errorf("%w option Backoff: first %v, limit %v; the first must be positive, and the limit not less", transport.ErrInvalid, first, limit)
		}
		o.backoff = backoff.Policy{First: first, Max: limit}
		return nil
	}
}
