package unproven_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport/internal/unproven"
)

// TestLogKeepsTheLast in the order in which they were added.
func TestLogKeepsTheLast(t *testing.T) {
	t.Parallel()
	l := unproven.New[int](4)
	require.Empty(t, slices.Collect(l.All()))
	for i := range 3 {
		l.Add(i)
	}
	require.Equal(t, []int{0, 1, 2}, slices.Collect(l.All()))
	for i := 3; i < 10; i++ {
		l.Add(i)
	}
	require.Equal(t, []int{6, 7, 8, 9}, slices.Collect(l.All()))
	require.Equal(t, 4, l.Len())
	for v := range l.All() {
		require.Equal(t, 6, v)
		break
	}
	l.Clear()
	require.Empty(t, slices.Collect(l.All()))
	l.Add(10)
	require.Equal(t, []int{10}, slices.Collect(l.All()))
}

// TestLogIsBounded whatever is asked for, and costs no memory once it is full.
func TestLogIsBounded(t *testing.T) {
	l := unproven.New[uint64](1_000_000)
	for i := range uint64(100_000) {
		l.Add(i)
	}
	require.Equal(t, unproven.Most, l.Len())
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.Add(1) }))
	l = unproven.New[uint64](0)
	l.Add(1)
	require.Equal(t, 1, l.Len())
}
