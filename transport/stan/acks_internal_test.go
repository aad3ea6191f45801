package stan

import (
	"testing"

	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestAckInboxOf: only stan.go's own subscriptions have one, once the server has told it.
func TestAckInboxOf(t *testing.T) {
	t.Parallel()
	for _, unknown := range []stan.Subscription{nil, &simInner{}, &innerSubscription{}, struct{ stan.Subscription }{}} {
		_, err := ackInboxOf(unknown)
		require.ErrorIs(t, err, transport.ErrUnsupported)
	}
}

// TestRemembers: a member may get more than MaxInFlight says.
func TestRemembers(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1024, remembers(1))
	require.Equal(t, 20_000, remembers(10_000))
}
