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
	done        bool                 // the anchor was handled
	silent      bool                 // the anchor did not come: the newest event is asked for next
	askedNewest bool                 // the newest event was asked for
}

// start returns the position to go on at. top is the highest sequence that was delivered.
func (r *resume) start(top uint64, topTime time.Time) transport.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.anchor, r.anchorTime, r.done = top, topTime, true
	for sequence, stored := range r.open {
		if r.done || sequence < r.anchor {
			r.anchor, r.anchorTime, r.done = sequence, stored, false
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

// asked returns the sequence that the server was asked to begin at, if the first delivery has
// not come yet; else 0.
func (r *resume) asked() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.askedNewest {
		return 0
	}
	return r.anchor
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
func (r *resume) take(d transport.Delivery) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	if anchor := r.anchor; anchor != 0 {
		r.anchor = 0
		switch {
		case d.Sequence <= anchor && d.Timestamp.After(r.anchorTime),
			d.Sequence < anchor && r.askedNewest: // a store that was restored from a backup is shorter than before
			clear(r.open)
			return emptied
		case r.askedNewest:
			return skipped
		case d.Sequence > anchor:
			r.dropBelow(d.Sequence)
		case d.Sequence == anchor && r.done:
			return known
		}
	}
	if r.open == nil {
		r.open = make(map[uint64]time.Time)
	}
	r.open[d.Sequence] = d.Timestamp
	return fresh
}

// dropBelow forgets the events that were open and that the server has removed: none below
// that sequence comes again.
func (r *resume) dropBelow(first uint64) {
	for sequence := range r.open {
		if sequence < first {
			delete(r.open, sequence)
		}
	}
}

// handled: the event needs not come again.
func (r *resume) handled(sequence uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, sequence)
}
