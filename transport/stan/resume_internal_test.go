package stan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestResume: where a subscription without a durable goes on, and what the event that
// it asks for once more tells.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handled  []uint64 // of the events 1 to 3, stored at 1 to 3
		asks     uint64
		gets     uint64
		storedAt int
		verdict  verdict
	}{
		"all was handled: the last is known":          {[]uint64{1, 2, 3}, 3, 3, 3, known},
		"and fresh where it is another event":         {[]uint64{1, 2, 3}, 3, 3, 9, emptied},
		"one is open: it begins there":                {[]uint64{1, 3}, 2, 2, 2, fresh},
		"the first of those that are open":            {nil, 1, 1, 1, fresh},
		"a lower sequence than the one asked for":     {[]uint64{1, 2, 3}, 3, 1, 9, emptied},
		"the one asked for was dropped by its limits": {[]uint64{1, 2, 3}, 3, 5, 5, fresh},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &resume{}
			for n := uint64(1); n <= 3; n++ {
				d := transport.Delivery{Sequence: n, Timestamp: at(int(n))}
				require.Equal(t, fresh, r.take(d))
			}
			for _, n := range c.handled {
				r.handled(n)
			}
			require.Equal(t, transport.Sequence(c.asks), r.start(3, at(3)))
			require.Equal(t, c.verdict, r.take(transport.Delivery{Sequence: c.gets, Timestamp: at(c.storedAt)}))
			next := transport.Delivery{Sequence: c.gets, Timestamp: at(c.storedAt)}
			require.Equal(t, fresh, r.take(next), "it is asked for once")
		})
	}
}

// TestResumeInAStoreThatIsShorter: the event that is asked for does not come, and the newest
// one is an earlier one.
func TestResumeInAStoreThatIsShorter(t *testing.T) {
	t.Parallel()
	r := &resume{}
	require.Equal(t, transport.Sequence(9), r.start(9, at(9)))
	require.True(t, r.checkStoreAgain())
	require.Equal(t, transport.LastReceived, r.start(9, at(9)))
	require.Equal(t, emptied, r.take(transport.Delivery{Sequence: 5, Timestamp: at(5)}), "the store was restored from a backup")

	r = &resume{}
	r.start(9, at(9))
	require.True(t, r.checkStoreAgain())
	r.start(9, at(9))
	require.Equal(t, skipped, r.take(transport.Delivery{Sequence: 9, Timestamp: at(9)}), "the server was slow")
}
