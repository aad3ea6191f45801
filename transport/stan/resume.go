package stan

import (
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// resume knows where a subscription without a durable goes on in a new session: the server
// has forgotten it. The subscription asks for the last event that it has had once more, to
// see whether the store is still the same. In a store that was emptied, that sequence is
// another event's, or nobody's. If it is nobody's, the server sends nothing; then the
// subscription asks for the newest event instead, see checkStoreAgain.
type resume struct {
	mu          sync.Mutex
	open        map[uint64]time.Time // sequences delivered and not handled, and when each was stored
	anchor      uint64               // the event that is asked for once more; 0: none
	anchorTime  time.Time            // when it was stored
	handled     bool                 // the anchor was handled
	silent      bool                 // the anchor did not come: the newest event is asked for next
	askedNewest bool                 // the newest event was asked for
}

// start returns the position to go on at. top is the highest sequence that was delivered.
func (r *resume) start(top uint64, topTime time.Time) transport.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.anchor, r.anchorTime, r.handled = top, topTime, true
	for sequence, stored := range r.open {
		if r.handled || sequence < r.anchor {
			r.anchor, r.anchorTime, r.handled = sequence, stored, false
		}
	}
	r.askedNewest, r.silent = r.silent, false
	if r.askedNewest {
		return transport.LastReceived
	}
	return transport.Sequence(r.anchor)
}

// awaitsFirst reports whether the first delivery has not come yet, which shows whether the
// store is the same.
func (r *resume) awaitsFirst() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.anchor != 0
}

// checkStoreAgain says that nothing has come for a while. It reports whether to ask for the
// newest event.
func (r *resume) checkStoreAgain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = r.anchor != 0 && !r.askedNewest // if there is no newest event, the first event that is stored shows it
	return r.silent
}

// verdict is what a delivery shows.
type verdict int

const (
	fresh   verdict = iota // it is handed up
	known                  // it was handled before
	emptied                // the store is another one
	skipped                // the store is the same, and events before this one have not come
)

// take examines a delivery, and remembers it as open if it is to be handed up.
func (r *resume) take(d *transport.Delivery) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	if anchor := r.anchor; anchor != 0 {
		r.anchor = 0
		switch {
		case d.Sequence <= anchor && d.Timestamp.After(r.anchorTime):
			clear(r.open)
			return emptied
		case r.askedNewest:
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

// resuming is a settler that tells resume that its event was handled. The event counts as
// handled even if the acknowledgement does not get through.
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
