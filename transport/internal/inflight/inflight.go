// Package inflight holds the publishes that wait for the broker's answer.
package inflight

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// Publishes are those that wait, each with what the transport has to know of it.
// The zero value is ready. It is safe for concurrent use.
type Publishes[T any] struct {
	mu      sync.Mutex
	last    transport.Ticket
	waiting map[transport.Ticket]entry[T]
	closed  error         // why no more are taken
	empty   chan struct{} // closed when the last one is settled; set by Drain
}

type entry[T any] struct {
	receipt transport.Receipt
	value   *T // and not T, which would be copied in and out for each change
}

// Close takes no more publishes, for that reason unless there was one before.
func (p *Publishes[T]) Close(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.closed = reason
	}
}

// Add enters a publish, or returns why no more are taken. value is not the caller's
// any more.
func (p *Publishes[T]) Add(r transport.Receipt, value *T) (transport.Ticket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return 0, p.closed
	}
	if p.waiting == nil {
		p.waiting = make(map[transport.Ticket]entry[T])
	}
	p.last++
	p.waiting[p.last] = entry[T]{r, value}
	return p.last, nil
}

// Update calls change on what is known of t, while nobody can settle it. It reports
// whether t still waits.
func (p *Publishes[T]) Update(t transport.Ticket, change func(*T)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.waiting[t]
	if ok {
		change(e.value)
	}
	return ok
}

// Settle ends the wait for t; the first call for a ticket counts, and reports so.
func (p *Publishes[T]) Settle(t transport.Ticket, err error) bool {
	return p.SettleBy(t, func(*T) error { return err })
}

// SettleBy is Settle with an outcome that depends on what is known of t.
func (p *Publishes[T]) SettleBy(t transport.Ticket, outcome func(*T) error) bool {
	p.mu.Lock()
	e, ok := p.waiting[t]
	delete(p.waiting, t)
	if p.empty != nil && len(p.waiting) == 0 {
		close(p.empty)
		p.empty = nil
	}
	p.mu.Unlock()
	if ok {
		e.receipt.Done(outcome(e.value))
	}
	return ok
}

// Tickets returns those that wait, in the order in which they came.
func (p *Publishes[T]) Tickets() []transport.Ticket {
	p.mu.Lock()
	tickets := make([]transport.Ticket, 0, len(p.waiting))
	for t := range p.waiting {
		tickets = append(tickets, t)
	}
	p.mu.Unlock()
	slices.Sort(tickets)
	return tickets
}

// SettleAll settles all that wait.
func (p *Publishes[T]) SettleAll(outcome func(*T) error) {
	for _, t := range p.Tickets() {
		p.SettleBy(t, outcome)
	}
}

// Drain waits for those under way, until ctx is done. Then it says how many are left,
// and of which subjects.
func (p *Publishes[T]) Drain(ctx context.Context, subject func(*T) string) error {
	p.mu.Lock()
	if len(p.waiting) == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.empty == nil {
		p.empty = make(chan struct{})
	}
	empty := p.empty
	p.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		var left Left
		p.mu.Lock()
		for _, e := range p.waiting {
			left.Add(subject(e.value))
		}
		p.mu.Unlock()
		return fmt.Errorf("%v: %w", &left, await.Cause(ctx))
	}
}
