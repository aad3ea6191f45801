package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outOfOrder is the failure of an event before which others are missing.
func outOfOrder(after time.Duration) Failure {
	return Failure{Err: errToday, After: after, Timed: true, OutOfOrder: true}
}

// TestLeavesTheQueue: an event that is out of order lets those behind it in the queue of
// its key go first, and joins the queue again when it is due. An event that fails
// otherwise holds up its key.
func TestLeavesTheQueue(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(1, 0, "ticket"), keyed(2, 0, "ticket"), keyed(3, 0, "ticket"))
	fail(s, runs1(t, s, 1, 0), outOfOrder(time.Second), 0)
	second := runs1(t, s, 2, 0)
	require.Empty(t, runs(s, 1), "it is due, and another one of its key runs")
	fail(s, second, failed(errToday), 1)
	require.Empty(t, runs(s, 1), "an event that has failed holds up its key")
	for _, sequence := range []uint64{2, 1, 3} {
		handle(s, runs1(t, s, sequence, 2), 2)
	}
	require.Empty(t, s.active)
	require.Empty(t, s.keys.byKey)
}

// TestStaysOutOfTheQueue: an event that is out of order, was let go and comes again before
// it is due does not hold up its key.
func TestStaysOutOfTheQueue(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(1, 0, "ticket"))
	fail(s, runs1(t, s, 1, 0), outOfOrder(8*time.Second), 0)
	require.Equal(t, []string{"let go 1 for 8s"}, decided(s))
	arrive(s, again(keyed(1, 5, "ticket"), 2), keyed(2, 5, "ticket"))
	handle(s, runs1(t, s, 2, 5), 5)
	handle(s, runs1(t, s, 1, 8), 8)
	require.Empty(t, s.active)
	require.Empty(t, s.keys.byKey)
}
