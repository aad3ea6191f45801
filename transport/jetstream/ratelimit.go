package jetstream

import (
	"sync"
	"time"
)

// rateLimit says when to log, or tell of, what goes on and on: the first time, and
// then once a minute. The zero value is ready.
type rateLimit struct {
	mu   sync.Mutex
	last time.Time
}

func (r *rateLimit) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last.IsZero() && time.Since(r.last) < time.Minute {
		return false
	}
	r.last = time.Now()
	return true
}
