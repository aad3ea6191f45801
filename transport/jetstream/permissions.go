package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// violated takes in that the NATS server has refused something.
func (c *conn) violated(v natsconn.Violation) {
	switch {
	case v.Subscribe, strings.HasPrefix(v.Subject, c.prefix):
		c.refusals.note(v)
		c.watch.Tell(transport.Event{Kind: transport.AsyncError, Err: v.Err})
	case strings.HasPrefix(v.Subject, "$JS.ACK."):
		c.watch.Tell(transport.Event{Kind: transport.AsyncError, Err: v.Err})
	default:
		if missing := v.Missing(v.Subject); c.sender.onForbidden(v.Subject, missing) {
			c.watch.Tell(transport.Event{Kind: transport.AsyncError, Err: missing})
		}
	}
}

// refusals are the requests to JetStream's API, and the subscriptions to its answers, that the
// NATS server has refused. The zero value is ready.
type refusals struct {
	mu    sync.Mutex
	count int
	last  error
}

func (r *refusals) note(v natsconn.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.last = v.Err
}

func (r *refusals) counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// explain returns the error of a request. If no answer came, and the server has refused
// something since it had refused that many, the error says so, and matches
// transport.ErrForbidden.
func (r *refusals) explain(before int, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == before {
		return err
	}
	return fmt.Errorf("%w: %w: %w", transport.ErrForbidden, r.last, err)
}
