package publisher

import (
	"context"
)

// flight is what a PublishAll has under way, in order.
type flight struct {
	pending []*Pending
	stored  int   // how many were stored before the first that failed
	failed  error // of the first that failed
	refused error // of the one that could not be sent, behind all the others
}

// add enters the next one and takes out what is decided at the front. It
// reports whether to go on.
func (f *flight) add(p *Pending) bool {
	f.pending = append(f.pending, p)
	for len(f.pending) > 0 && f.failed == nil {
		select {
		case <-f.pending[0].Done():
			f.landed(f.pending[0].Err())
		default:
			return true
		}
	}
	return f.failed == nil
}

// landed takes the first one out, with its outcome.
func (f *flight) landed(err error) {
	f.pending = f.pending[1:]
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
	for len(f.pending) > 0 {
		first := f.pending[0]
		select {
		case <-first.Done():
		case <-ctx.Done():
			first.giveUp(ended(ctx))
			<-first.Done()
		}
		f.landed(first.Err())
	}
	if f.failed != nil {
		return f.stored, f.failed
	}
	return f.stored, f.refused
}
