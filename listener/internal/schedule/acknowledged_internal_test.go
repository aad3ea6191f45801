package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAcknowledgedIsBounded(t *testing.T) {
	t.Parallel()
	const n, size = 50_000, 16_384
	d := newRecentlyAcknowledged(16)
	for n := range uint64(n) {
		d.add(MessageKey{Sequence: n}, EventID{n + 1})
		d.add(MessageKey{Sequence: n}, EventID{n + 1})
		require.LessOrEqual(t, len(d.young.keys)+len(d.old.keys), 2*size)
		require.LessOrEqual(t, len(d.young.ids)+len(d.old.ids), 2*size)
		require.True(t, d.has(MessageKey{Sequence: n}))
		require.True(t, d.hasID(EventID{n + 1}))
	}
	require.True(t, d.has(MessageKey{Sequence: n - size}))
	require.True(t, d.hasID(EventID{n - size}))
	require.False(t, d.has(MessageKey{Sequence: n - 2*size - 1}), "the oldest is forgotten first")
	require.False(t, d.hasID(EventID{n - 2*size}))
	d.add(MessageKey{Sequence: 1, Stored: 1}, EventID{})
	require.True(t, d.has(MessageKey{Sequence: 1, Stored: 1}), "sequences begin anew where a store was lost")
	require.False(t, d.has(MessageKey{Sequence: 2, Stored: 1}))
	d.add(MessageKey{Sequence: 1}, EventID{}) // of the lost store, handled late
	require.True(t, d.has(MessageKey{Sequence: 1, Stored: 1}))
	require.Equal(t, 2*size, newRecentlyAcknowledged(size).size)
}

// TestAcknowledgedIsLookedUp: what was never asked for is there all the same.
func TestAcknowledgedIsLookedUp(t *testing.T) {
	t.Parallel()
	const n = 40_000
	d := newRecentlyAcknowledged(16)
	for n := range uint64(n) {
		d.add(MessageKey{Sequence: n}, EventID{})
	}
	for sequence := uint64(n); sequence > n-16_384; sequence-- {
		require.True(t, d.has(MessageKey{Sequence: sequence - 1}))
		require.False(t, d.has(MessageKey{Sequence: sequence - 1, Stored: 1}))
	}
	require.False(t, d.has(MessageKey{Sequence: n}))
	require.False(t, d.has(MessageKey{Sequence: 0}), "it is forgotten")
}
