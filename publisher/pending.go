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
	deadline       time.Time
	listed, landed bool // it is in there; it is not entered any more
	previous, next *Pending
}

// reset makes p one that was not published yet. Nobody else has it.
func (p *Pending) reset() {
	p.mu.Lock()
	p.settled, p.err, p.cause, p.done, p.landed = false, nil, nil, nil, false
	p.mu.Unlock()
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
	if settled, err := p.outcome(); settled {
		return err
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
	settled, err := p.outcome()
	if !settled {
		return &Error{p.core.subject, ErrPending}
	}
	return err
}

func (p *Pending) outcome() (settled bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settled, p.err
}

// giveUp ends the wait for the server, for that cause. The outcome is decided
// soon after.
func (p *Pending) giveUp(cause error) {
	p.blame(cause)
	p.core.session.Conn.Abandon(p.ticket)
}

// blame notes why it is about to be abandoned. The first reason counts.
func (p *Pending) blame(cause error) {
	p.mu.Lock()
	if p.cause == nil {
		p.cause = cause
	}
	p.mu.Unlock()
}

// receipt is a Pending as the transport sees it.
type receipt Pending

// Done implements transport.Receipt.
func (r *receipt) Done(err error) {
	p, c := (*Pending)(r), r.core
	c.flying.remove(p)
	p.mu.Lock()
	outcome := c.failure(err, p.cause)
	if p.call != nil {
		p.mu.Unlock()
		p.call.decide(outcome) // before whoever waits goes on
		p.mu.Lock()
	}
	p.settled, p.err = true, outcome
	done := p.done
	p.mu.Unlock() // PublishAll may use it again from here on
	c.session.Window.Leave()
	if done != nil {
		close(done)
	}
}
