package fifo_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/fifo"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	var q fifo.Queue[int]
	in, out := 0, 0
	push := func(n int) {
		for range n {
			q.Push(in)
			in++
		}
	}
	pop := func(n int) {
		for range n {
			require.Equal(t, out, q.Front())
			require.Equal(t, out, q.Pop())
			out++
		}
		require.Equal(t, in-out, q.Len())
	}
	for i := range 100 { // more and less in it, never nothing
		push(i%7 + 2)
		pop(i%5 + 1)
	}
	pop(q.Len())
	push(3)
	q.Change(func(items []int) []int {
		require.Equal(t, []int{out, out + 1, out + 2}, items)
		slices.Reverse(items)
		return append(items, -1)
	})
	require.Equal(t, []int{out + 2, out + 1, out, -1}, []int{q.Pop(), q.Pop(), q.Pop(), q.Pop()})
	require.Zero(t, q.Len())
}

func TestQueueUsesItsMemoryAgain(t *testing.T) {
	var q fifo.Queue[*int]
	value := new(int)
	round := func() {
		for range 1000 {
			q.Push(value)
		}
		for range 10_000 { // as many come as go
			q.Push(value)
			q.Pop()
		}
		for q.Len() > 0 {
			q.Pop()
		}
	}
	round()
	require.Zero(t, testing.AllocsPerRun(10, round))
}
