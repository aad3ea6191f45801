package jetstream

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestDurableIsHeldOnce: by one subscription at a time. One that is closed twice does not free
// what another holds by then.
func TestDurableIsHeldOnce(t *testing.T) {
	t.Parallel()
	c := &conn{subs: make(map[*subscription]struct{}), held: make(map[string]struct{})}
	mine := consumerRef{name: "mine", durable: true}
	one, two, three := &subscription{consumer: mine}, &subscription{consumer: mine}, &subscription{consumer: mine}
	require.NoError(t, c.hold(one))
	require.ErrorIs(t, c.hold(two), transport.ErrRefused)
	c.forget(one)
	require.NoError(t, c.hold(two))
	c.forget(one)
	require.ErrorIs(t, c.hold(three), transport.ErrRefused)

	group := consumerRef{name: "group", durable: true, shared: true}
	require.NoError(t, c.hold(&subscription{consumer: group}))
	require.NoError(t, c.hold(&subscription{consumer: group}))
}
