// Package unproven remembers the acknowledgements that were sent last. What went down with a
// link is among them, so that it can be sent again when the link is back.
package unproven

import "iter"

// Most bounds every log: the memory of a subscription whose MaxInFlight is very large.
const Most = 16 << 10

// Log keeps the last acknowledgements of a subscription, and forgets older ones. It grows as
// it is filled, up to its bound. Use [New]. It is not safe for concurrent use.
type Log[T any] struct {
	kept   []T
	oldest int // the place in kept that is used next, once kept is full
	limit  int
}

// New returns a log that keeps that many, at least 1 and at most [Most]. What a lost link
// swallows is all that was sent from some moment on, and it is about messages that the server
// had sent before. So a log suffices that has room for as many as may be delivered and not yet
// acknowledged.
func New[T any](limit int) Log[T] { return Log[T]{limit: min(max(limit, 1), Most)} }

// Add adds what is about to be sent.
func (l *Log[T]) Add(v T) {
	if len(l.kept) < l.limit {
		l.kept = append(l.kept, v)
		return
	}
	l.kept[l.oldest] = v
	l.oldest = (l.oldest + 1) % l.limit
}

// Len returns how many are kept.
func (l *Log[T]) Len() int { return len(l.kept) }

// All returns what is kept, in the order in which it was added.
func (l *Log[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for i := range l.kept {
			if !yield(l.kept[(l.oldest+i)%len(l.kept)]) {
				return
			}
		}
	}
}

// Clear forgets all, and frees the memory.
func (l *Log[T]) Clear() { l.kept, l.oldest = nil, 0 }
