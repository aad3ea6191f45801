package publishing

import (
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// Pending is an asynchronous publish. It is safe for concurrent use, and need not be
// waited for. The zero value is ready for Sender.PublishAsync.
type Pending struct {
	// OnDecided, unless it is nil, is told the outcome that the caller gets, before those
	// who wait for it go on. It is set before the publish, and must not block.
	OnDecided transport.Receipt

	// Set before the message is handed to the connection.
	sender  *Sender
	subject string
	watch   *watch

	ticket transport.Ticket // set before PublishAsync returns

	mu      sync.Mutex
	decided bool
	err     error         // once decided: the outcome
	cause   error         // why the wait for the server was ended
	done    chan struct{} // made when somebody asks for it

	// Guarded by the lock of the sender's deadlines.
	listed, closed bool          // in the list; the outcome is here, so not to be listed any more
	deadline       time.Duration // since the deadlines' epoch
	previous, next *Pending
}

// Reset makes p ready for another publish. Nobody else may use p meanwhile.
func (p *Pending) Reset() {
	p.mu.Lock()
	p.decided, p.err, p.cause, p.done, p.watch = false, nil, nil, nil, nil
	p.closed = false
	p.mu.Unlock()
}

// Done returns a channel that is closed when the outcome is decided.
func (p *Pending) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.decided {
			close(p.done)
		}
	}
	return p.done
}

// Subject returns the subject of the message.
func (p *Pending) Subject() string { return p.subject }

// Outcome returns whether the outcome is decided, and then the error, nil if the message is
// stored.
func (p *Pending) Outcome() (decided bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.decided, p.err
}

// GiveUp ends the wait for the server because of cause. The outcome is decided soon after.
// A Pending that was not published is left as it is.
func (p *Pending) GiveUp(cause error) {
	if p.sender == nil {
		return
	}
	p.blame(cause)
	p.sender.Conn.Abandon(p.ticket)
}

// blame records why the publish is about to be abandoned. The first cause counts.
func (p *Pending) blame(cause error) {
	p.mu.Lock()
	if p.cause == nil {
		p.cause = cause
	}
	p.mu.Unlock()
}

// receipt is a Pending as the connection sees it.
type receipt Pending

// Done implements transport.Receipt.
func (r *receipt) Done(err error) {
	p, s := (*Pending)(r), r.sender
	s.deadlines.remove(p)
	p.mu.Lock()
	cause := p.cause
	p.mu.Unlock()
	outcome := s.decide(p.watch, p.subject, err, cause)
	if p.OnDecided != nil {
		p.OnDecided.Done(outcome)
	}
	p.mu.Lock()
	p.decided, p.err = true, outcome
	done := p.done
	p.mu.Unlock() // from here on, the caller may reset p and use it again
	s.Window.Release()
	if done != nil {
		close(done)
	}
}
