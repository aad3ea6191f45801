package deadletter

import "sync"

// tally is the result so far. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	result Result
}

func (t *tally) far() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result
}

// count enters a dead letter; again: of an event that is counted already.
func (t *tally) count(f fate, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case f == stored && again:
		t.result.Duplicates++
	case f == stored:
		t.result.Redriven++
	case f == kept:
		t.result.Kept++
	case f == failed:
		t.result.Failed++
	}
}
