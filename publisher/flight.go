package publisher

import (
	"context"

	"github.com/sgtickets/common/internal/fifo"
)

// flight is what a PublishAll has under way, in order.
type flight struct {
	core    *core
	pending fifo.Queue[*Pending]
	stored  int   // how many were stored before the first that failed
	failed  error // of the first that failed
	refused error // of the one that could not be sent, behind all the others
}

// add enters the next one and takes out what is decided at the front. It
// reports whether to go on.
func (f *flight) add(p *Pending) bool {
	f.pending.Push(p)
	for f.pending.Len() > 0 && f.failed == nil {
		settled, err := f.pending.Front().outcome()
		if !settled {
			return true
		}
		f.landed(err)
	}
	return f.failed == nil
}

// landed takes the first one out, with its outcome.
func (f *flight) landed(err error) {
	f.core.giveBack(f.pending.Pop())
	switch {
	case f.failed != nil:
	case err != nil:
		f.failed = err
	default:
		f.stored++
	}
}

// land waits until all are decided, or gives up on them when ctx is done.
func (f *flight) land(ctx context.Context) (stored int, err error) {
	for f.pending.Len() > 0 {
		first := f.pending.Front()
		settled, err := first.outcome()
		if !settled {
			select {
			case <-first.Done():
			case <-ctx.Done():
				first.giveUp(ended(ctx))
				<-first.Done()
			}
			err = first.Err()
		}
		f.landed(err)
	}
	if f.failed != nil {
		return f.stored, f.failed
	}
	return f.stored, f.refused
}
