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

// TestWhatIsAheadStepsAside for what is behind it in its line, and joins that again
// when it is due; any other failure holds the line up.
func TestWhatIsAheadStepsAside(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "ticket"), keyed(2, 0, "ticket"), keyed(3, 0, "ticket"))
	fail(b, runs1(t, b, 1, 0), outOfOrder(time.Second), 0)
	second := runs1(t, b, 2, 0)
	require.Empty(t, runs(b, 1), "it is due, and another one of its line runs")
	fail(b, second, failed(errToday), 1)
	require.Empty(t, runs(b, 1), "what has failed holds up its line")
	for _, sequence := range []uint64{2, 1, 3} {
		handle(b, runs1(t, b, sequence, 2), 2)
	}
	require.Empty(t, b.active)
	require.Empty(t, b.keys.byKey)
}

// TestWhatIsAheadStaysAside when it has been let go and comes again before it is due.
func TestWhatIsAheadStaysAside(t *testing.T) {
	t.Parallel()
	b := New(streaming(2), ackWait)
	arrive(b, keyed(1, 0, "ticket"))
	fail(b, runs1(t, b, 1, 0), outOfOrder(8*time.Second), 0)
	require.Equal(t, []string{"let go 1 for 8s"}, decided(b))
	arrive(b, again(keyed(1, 5, "ticket"), 2), keyed(2, 5, "ticket"))
	handle(b, runs1(t, b, 2, 5), 5)
	handle(b, runs1(t, b, 1, 8), 8)
	require.Empty(t, b.active)
	require.Empty(t, b.keys.byKey)
}
