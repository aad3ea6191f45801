package publisher

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/internal/publishing"
)

// Pending is a publish under way. It is safe for concurrent use, and need not be
// waited for.
type Pending struct {
	publish publishing.Pending
}

// Done returns a channel that is closed when the outcome is decided.
func (p *Pending) Done() <-chan struct{} { return p.publish.Done() }

// Wait waits for the outcome and returns it: nil when the server has stored the
// event, else an [*Error]. When ctx is done first, the error matches [ErrPending]
// and ctx's; the publish goes on.
func (p *Pending) Wait(ctx context.Context) error {
	if decided, err := p.publish.Outcome(); decided {
		return err
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
	decided, err := p.publish.Outcome()
	if !decided {
		return wrap(p.publish.Subject(), ErrPending)
	}
	return err
}
