package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInterrupt: events that do not run are dropped, and none of their keys overtakes
// them.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"), keyed(4, 0, "b"), arrived(5, 0))
	require.Equal(t, []uint64{1, 3}, runs(s, 0))
	fail(s, busy(s, 3), failed(errToday), 0)
	decided(s)
	s.Interrupt(at(0))
	require.Equal(t, []string{"drop 2", "drop 3", "drop 4", "drop 5"}, decided(s))
	arrive(s, keyed(6, 1, "a"), keyed(7, 1, "b"))
	require.Empty(t, runs(s, 1))
	handle(s, busy(s, 1), 1)
	require.Empty(t, runs(s, 1), "6 must not overtake 2, nor 7 3")
	arrive(s, again(keyed(2, 1, "a"), 2), again(keyed(3, 1, "b"), 2), again(keyed(4, 1, "b"), 2))
	require.Equal(t, []uint64{2, 3}, runs(s, 1))
	require.Equal(t, 1, busy(s, 2).Attempt)
	require.Equal(t, 2, busy(s, 3).Attempt)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"nak": jetStream(1), "drop": streaming(1)} {
		s := New(r, ackWait)
		arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"))
		one := runs1(t, s, 1, 0)
		s.Drain(at(0))
		require.Equal(t, []string{name + " 2", name + " 3"}, decided(s))
		arrive(s, arrived(4, 0))
		require.Equal(t, []string{"drop 4"}, decided(s))
		require.Empty(t, runs(s, 0))
		fail(s, one, failed(errToday), 0)
		require.Len(t, decided(s), 1, "it is not held")
		require.Empty(t, runs(s, 9))
		requireEmpty(t, s)
	}
}
