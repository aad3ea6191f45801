// Package backoff spaces out attempts.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Policy is an exponential backoff. The zero value waits for nothing.
type Policy struct {
	First time.Duration // before the second attempt
	Max   time.Duration // at most between two
}

// Delay returns how long to wait after the attempt-th attempt failed, the first
// being 1: Full, of which the last half is drawn by chance, so that clients that
// failed together don't come back together.
func (p Policy) Delay(attempt int) time.Duration {
	d := p.Full(attempt)
	if d <= 0 {
		return 0
	}
	return d/2 + rand.N(d/2+1)
}

// Full returns the longest Delay: First, doubled with each attempt up to Max.
func (p Policy) Full(attempt int) time.Duration {
	d := p.First
	for range attempt - 1 {
		if d >= p.Max/2 {
			d = p.Max
			break
		}
		d *= 2
	}
	return max(min(d, p.Max), 0)
}
