package publisher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// Pending is a publish under way. It is safe for concurrent use, and need not be
// waited for.
type Pending struct {
	core *core
	call *call // through the middleware; nil: there is none

	mu      sync.Mutex
	settled bool
	err     error
	cause   error         // why it was abandoned
	done    chan struct{} // made when somebody asks for it

	ticket transport.Ticket // set before the Pending is anyone's

	// Guarded by the lock of core.flying.
	deadline time.Time
	landed   bool
}

// Done returns a channel that is closed when the outcome is decided.
func (p *Pending) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.settled {
			close(p.done)
		}
	}
	return p.done
}

// Wait waits for the outcome and returns it: nil when the server has stored the
// event, else an [*Error]. When ctx is done first, the error matches [ErrPending]
// and ctx's; the publish goes on.
func (p *Pending) Wait(ctx context.Context) error {
	select {
	case <-p.Done():
		return p.Err()
	default:
	}
	select {
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		return &Error{p.core.subject, fmt.Errorf("%w: %w", ErrPending, ended(ctx))}
	}
}

// Err returns the outcome without waiting: an [*Error] that matches [ErrPending]
// until it is decided, then what Wait returns.
func (p *Pending) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.settled {
		return &Error{p.core.subject, ErrPending}
	}
	return p.err
}

// giveUp ends the wait for the server, for that cause. The outcome is decided
// soon after.
func (p *Pending) giveUp(cause error) {
	p.mu.Lock()
	if p.cause == nil {
		p.cause = cause
	}
	p.mu.Unlock()
	p.core.session.Conn.Abandon(p.ticket)
}

// receipt is a Pending as the transport sees it.
type receipt Pending

// Settle implements transport.Receipt.
func (r *receipt) Settle(err error) {
	p := (*Pending)(r)
	p.core.flying.remove(p)
	p.mu.Lock()
	outcome := p.core.failure(err, p.cause)
	if p.call != nil {
		p.mu.Unlock()
		p.call.decide(outcome) // before whoever waits goes on
		p.mu.Lock()
	}
	p.settled, p.err = true, outcome
	done := p.done
	p.mu.Unlock()
	p.core.session.Window.Leave()
	if done != nil {
		close(done)
	}
}
