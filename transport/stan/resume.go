package stan

import (
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// resume knows where a subscription without a durable goes on in a new session: the
// server has forgotten it. It asks for the last event once more that it has had, to
// see that the store is still the same: in one that was emptied the sequence means
// another event, or none. Where it means none, the server says nothing: after a while
// the newest event there is tells.
type resume struct {
	mu         sync.Mutex
	open       map[uint64]time.Time // delivered and not handled, and when each was stored
	anchor     uint64               // the event that is asked for once more; 0: none
	anchorTime time.Time
	handled    bool // the anchor was
	silent     bool // it did not come: to be asked for next is the newest event
	newest     bool // which was asked for
}

// start returns the position to go on at, top being the highest that was delivered.
func (r *resume) start(top uint64, topTime time.Time) transport.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.anchor, r.anchorTime, r.handled = top, topTime, true
	for sequence, stored := range r.open {
		if r.handled || sequence < r.anchor {
			r.anchor, r.anchorTime, r.handled = sequence, stored, false
		}
	}
	r.newest, r.silent = r.silent, false
	if r.newest {
		return transport.LastReceived
	}
	return transport.Sequence(r.anchor)
}

// awaits reports whether the first delivery is still to come, that tells whether the
// store is the same.
func (r *resume) awaits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.anchor != 0
}

// doubt says that nothing has come for a while, and reports whether to ask once more.
func (r *resume) checkStoreAgain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = r.anchor != 0 && !r.newest // if there is no newest event, the first one tells
	return r.silent
}

// verdict is what a delivery tells.
type verdict int

const (
	fresh   verdict = iota // to be handed up
	known                  // it was handled before
	emptied                // the store is another one
	skipped                // it is the same, and what is before this one has not come
)

// take looks at a delivery, and notes it if it is to be handed up.
func (r *resume) take(d *transport.Delivery) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	if anchor := r.anchor; anchor != 0 {
		r.anchor = 0
		switch {
		case d.Sequence <= anchor && d.Timestamp.After(r.anchorTime):
			clear(r.open)
			return emptied
		case r.newest:
			return skipped
		case d.Sequence == anchor && r.handled:
			return known
		}
	}
	if r.open == nil {
		r.open = make(map[uint64]time.Time)
	}
	r.open[d.Sequence] = d.Timestamp
	d.Settler = &resuming{d.Settler, r, d.Sequence}
	return fresh
}

// resuming is a settler that tells resume that its event was handled. That counts
// even where the acknowledgement does not get through.
type resuming struct {
	transport.Settler

	resume   *resume
	sequence uint64
}

func (s *resuming) Ack() error {
	s.resume.mu.Lock()
	delete(s.resume.open, s.sequence)
	s.resume.mu.Unlock()
	return s.Settler.Ack()
}
