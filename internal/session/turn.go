package session

import (
	"sync"
	"time"
)

// Turn is had by one at a time. The zero value is ready, and safe for concurrent use.
type Turn struct {
	mu      sync.Mutex
	holder  any
	since   time.Time
	refused any // who was refused last, and is next
}

// Take gives the turn to the caller, and reports whether it did. The holder keeps it until
// End, or until it has had it for most and another one asks. One that has just had it waits
// for one that was refused meanwhile, for most at the longest.
func (t *Turn) Take(who any, now time.Time, most time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	late := now.Sub(t.since) >= most
	if !late && (t.holder != nil && t.holder != who || t.refused != nil && t.refused != who) {
		if t.refused == nil {
			t.refused = who
		}
		return false
	}
	t.holder, t.since, t.refused = who, now, nil
	return true
}

// End takes the turn back, if who has it.
func (t *Turn) End(who any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holder == who {
		t.holder = nil
	}
}
