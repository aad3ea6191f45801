package deadletter

import "sync"

// counter counts what becomes of dead letters. It is safe for concurrent use.
type counter struct {
	mu  sync.Mutex
	sum Result
}

// result returns the counts so far.
func (c *counter) result() Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// add counts a dead letter. further says that a dead letter of the same event was counted
// before.
func (c *counter) add(o outcome, further bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch o {
	case redriven:
		if further {
			c.sum.Duplicates++
		} else {
			c.sum.Redriven++
		}
	case kept:
		c.sum.Kept++
	case failed:
		c.sum.Failed++
	case undecided:
	}
}
