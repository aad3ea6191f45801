package jetstream

import (
	"sync"
	"time"
)

// sparing says when to log, or tell of, what goes on and on: the first time, and
// then once a minute. The zero value is ready.
type sparing struct {
	mu   sync.Mutex
	last time.Time
}

func (s *sparing) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() && time.Since(s.last) < time.Minute {
		return false
	}
	s.last = time.Now()
	return true
}
