package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplacesADelivery(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	arrive(s, arrived(1, 0), arrived(2, 0))
	one := runs1(t, s, 1, 0)
	arrive(s, again(arrived(1, 5), 2)) // 1 runs: it must not be started twice, and is acknowledged through this one
	arrive(s, again(arrived(2, 5), 2)) // 2 waits: it counts from now
	require.Equal(t, 2, one.Delivery.Deliveries)
	handle(s, one, 9)
	two := runs1(t, s, 2, 9)
	require.Equal(t, 1, two.Attempt, "its first delivery was never run")
	handle(s, two, 9)
	require.Empty(t, runs(s, 9))
	requireEmpty(t, s)
}
