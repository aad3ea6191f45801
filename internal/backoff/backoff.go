// Package backoff says how long to wait between attempts.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Policy is an exponential backoff. The zero value waits for nothing.
type Policy struct {
	First time.Duration // between the first attempt and the second
	Max   time.Duration // at most between two attempts
}

// Delay returns how long to wait after that attempt failed; the first is 1. It is between
// half of Full and Full, at random, so that clients that failed together don't come back
// together.
func (p Policy) Delay(attempt int) time.Duration {
	d := p.Full(attempt)
	if d <= 0 {
		return 0
	}
	return d/2 + rand.N(d/2+1)
}

// Full returns the longest Delay after that attempt: First, doubled with each attempt, up to
// Max.
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
