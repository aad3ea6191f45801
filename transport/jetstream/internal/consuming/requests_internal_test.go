package consuming

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRequests: no more is ever asked for than there is room, and few requests ask
// for much.
func TestRequests(t *testing.T) {
	t.Parallel()
	var r requests
	require.Equal(t, 8, r.want(8, 0, 0))
	require.Zero(t, r.want(8, 0, 0), "all of it is on its way")
	inFlight := 0
	for range 8 {
		r.arrived()
		inFlight++
		require.Zero(t, r.want(8, inFlight, 0), "what arrived is in flight")
	}
	require.Equal(t, 1, r.want(8, 7, 0), "with nothing on its way, even for one")
	require.Zero(t, r.want(8, 5, 0), "with some on its way, only for half of the room")
	require.Equal(t, 4, r.want(8, 3, 0))
	r.unserved(5)
	require.Equal(t, 1, r.want(1, 0, 0), "the room may shrink")
	require.Zero(t, r.want(1, 3, 0))
	r.unserved(100)
	require.Equal(t, 3, r.want(8, 0, 3), "the consumer allows a request no more")
	r.unserved(100)
	require.Zero(t, r.outstanding)
	r.arrived()
	require.Zero(t, r.outstanding)
}
