// Package fifo has a queue that uses its memory again: one that is filled and emptied
// all the time allocates nothing.
package fifo

// Queue hands out first what came first. The zero value is empty and ready. It is not
// safe for concurrent use.
type Queue[T any] struct {
	items []T // from head on; what is before it was taken
	head  int
}

// Len is how many are in it.
func (q *Queue[T]) Len() int { return len(q.items) - q.head }

// Push puts v behind all others.
func (q *Queue[T]) Push(v T) {
	if len(q.items) == cap(q.items) && q.head > len(q.items)/2 {
		q.moveUp()
	}
	q.items = append(q.items, v)
}

// Front returns the first. The queue must not be empty.
func (q *Queue[T]) Front() T { return q.items[q.head] }

// Pop takes the first out. The queue must not be empty.
func (q *Queue[T]) Pop() T {
	v := q.items[q.head]
	var zero T
	q.items[q.head] = zero // keep nothing alive that was taken
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return v
}

// Change lets change put, take and order as it likes, and keeps what it returns.
func (q *Queue[T]) Change(change func([]T) []T) {
	q.moveUp()
	q.items = change(q.items)
}

func (q *Queue[T]) moveUp() {
	n := copy(q.items, q.items[q.head:])
	clear(q.items[n:])
	q.items, q.head = q.items[:n], 0
}
