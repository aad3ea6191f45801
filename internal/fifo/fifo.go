// Package fifo has a first-in, first-out queue that reuses its memory: in the long run a queue
// that is filled and emptied all the time allocates nothing.
package fifo

// Queue is a first-in, first-out queue. The zero value is empty and ready to use. It is not
// safe for concurrent use.
type Queue[T any] struct {
	items []T // from head on; those before it were taken out
	head  int
}

// Len returns the number of items.
func (q *Queue[T]) Len() int { return len(q.items) - q.head }

// Push adds v at the end.
func (q *Queue[T]) Push(v T) {
	if len(q.items) == cap(q.items) && q.head > len(q.items)/2 {
		q.moveUp()
	}
	q.items = append(q.items, v)
}

// Front returns the first item. The queue must not be empty.
func (q *Queue[T]) Front() T { return q.items[q.head] }

// Pop removes the first item and returns it. The queue must not be empty.
func (q *Queue[T]) Pop() T {
	v := q.items[q.head]
	var zero T
	q.items[q.head] = zero // so that the garbage collector can free what it refers to
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return v
}

// Change replaces the items by what change returns. change gets all of them in order, and may
// use their memory.
func (q *Queue[T]) Change(change func([]T) []T) {
	q.moveUp()
	q.items = change(q.items)
}

func (q *Queue[T]) moveUp() {
	n := copy(q.items, q.items[q.head:])
	clear(q.items[n:])
	q.items, q.head = q.items[:n], 0
}
