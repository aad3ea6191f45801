package publisher

import (
	"context"

	"github.com/sgtickets/common/internal/fifo"
	"github.com/sgtickets/common/internal/publishing"
)

// batch is what a PublishAll has under way, in order.
type batch struct {
	core    *core
	pending fifo.Queue[*Pending]
	stored  int   // events that were stored before the first one that failed
	failed  error // of the first event that failed
	refused error // of the event that could not be sent, behind all the others
}

// add appends the next publish, and takes out those at the front that are decided. It
// reports whether to go on.
func (b *batch) add(p *Pending) bool {
	b.pending.Push(p)
	for b.pending.Len() > 0 && b.failed == nil {
		decided, err := b.pending.Front().publish.Outcome()
		if !decided {
			return true
		}
		b.takeFirst(err)
	}
	return b.failed == nil
}

// takeFirst takes the first publish out and counts its outcome.
func (b *batch) takeFirst(err error) {
	b.core.giveBackPending(b.pending.Pop())
	switch {
	case b.failed != nil:
	case err != nil:
		b.failed = err
	default:
		b.stored++
	}
}

// wait waits until all publishes are decided. When ctx is done it gives up on the rest.
func (b *batch) wait(ctx context.Context) (stored int, err error) {
	for b.pending.Len() > 0 {
		first := &b.pending.Front().publish
		decided, err := first.Outcome()
		if !decided {
			select {
			case <-first.Done():
			case <-ctx.Done():
				first.GiveUp(publishing.Cause(ctx))
				<-first.Done()
			}
			_, err = first.Outcome()
		}
		b.takeFirst(err)
	}
	if b.failed != nil {
		return b.stored, b.failed
	}
	return b.stored, b.refused
}
