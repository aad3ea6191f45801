package publisher

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/transport"
)

// Pending is a publish under way. It is safe for concurrent use, and need not be
// waited for.
type Pending struct {
	publish publishing.Pending
}

// Done returns a channel that is closed when the outcome is decided.
func (p *Pending) Done() <-chan struct{} {
	if p == nil {
		return noPending
	}
	return p.publish.Done()
}

// noPending is the channel of a nil Pending, which is what PublishAsync returns with an
// error.
var noPending = func() <-chan struct{} {
	closed := make(chan struct{})
	close(closed)
	return closed
}()

var errNoPending = fmt.Errorf("%w Pending: nil; PublishAsync returned an error instead", transport.ErrInvalid)

// Wait waits for the outcome and returns it: nil when the server has stored the
// event, else an [*Error]. When ctx is done first, the error matches [ErrPending]
// and ctx's; the publish goes on.
func (p *Pending) Wait(ctx context.Context) error {
	if p == nil {
		return p.Err()
	}
	if decided, err := p.publish.Outcome(); decided {
		return err
	}
	if ctx == nil {
		return wrap(p.publish.Subject(), fmt.Errorf("%w: %w", ErrPending, errNoContext))
	}
	select {
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		return wrap(p.publish.Subject(), fmt.Errorf("%w: %w", ErrPending, publishing.Cause(ctx)))
	}
}

// Err returns the outcome without waiting: an [*Error] that matches [ErrPending]
// until it is decided, then what Wait returns.
func (p *Pending) Err() error {
	if p == nil {
		return wrap("", fmt.Errorf("%w: %w", ErrNotStored, errNoPending))
	}
	decided, err := p.publish.Outcome()
	if !decided {
		return wrap(p.publish.Subject(), ErrPending)
	}
	return err
}
