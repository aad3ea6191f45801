package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestMessageKey: after a server lost its store, a sequence is another event.
func TestMessageKey(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, arrived(1, 0), NewTask(transport.Delivery{Sequence: 1, Timestamp: start.Add(time.Hour)}, at(0)))
	require.Equal(t, []uint64{1, 1}, runs(s, 0))
}
