package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestExtendsAckWaits of all that is here, each once an interval, and of nothing else.
func TestExtendsAckWaits(t *testing.T) {
	t.Parallel()
	s := New(jetStream(2), 6*time.Second)
	require.Zero(t, s.ExtendInterval(), "nothing is here")
	arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"))
	require.Equal(t, 2*time.Second, s.ExtendInterval())
	one := runs1(t, s, 1, 1)
	arrive(s, arrived(3, 1.5))
	require.Equal(t, []uint64{3}, runs(s, 1.5))
	require.Len(t, s.ExtendAckWaits(at(2)), 2, "3 has just come")
	require.Equal(t, at(2), one.Received)
	require.Len(t, s.ExtendAckWaits(at(3)), 1)
	s.Interrupt(at(3)) // 2 holds up its key, but is not here
	require.Len(t, s.ExtendAckWaits(at(9)), 2)
	require.Zero(t, New(streaming(1), ackWait).ExtendInterval())
}
