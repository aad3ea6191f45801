package natsconn

import (
	"sync"

	"github.com/sgtickets/common/transport"
)

// Teller tells events in the order in which they were added, one at a time, with no lock held:
// who is told may call back. The zero value is ready, and safe for concurrent use.
type Teller struct {
	mu      sync.Mutex
	queue   []transport.Event
	telling bool
}

// Add adds events, which Tell tells.
func (t *Teller) Add(events ...transport.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, events...)
}

// Tell calls tell with the events that were added, unless another call of Tell is about to.
func (t *Teller) Tell(tell func(transport.Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.telling {
		return
	}
	t.telling = true
	for len(t.queue) > 0 {
		e := t.queue[0]
		t.queue = t.queue[1:]
		t.mu.Unlock()
		tell(e)
		t.mu.Lock()
	}
	t.telling = false
}
