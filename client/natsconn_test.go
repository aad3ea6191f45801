package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/transport/memory"
)

// TestNATSConnInMemory: there is none, and the error says what to do.
func TestNATSConnInMemory(t *testing.T) {
	t.Parallel()
	c, err := client.Build(t.Context(), "ticketing", "orders-1", "", quiet(), client.Transport(memory.New().Dialer()))
	require.NoError(t, err)
	_, err = c.NATSConn(t.Context())
	require.ErrorIs(t, err, client.ErrUnsupported)
	require.ErrorContains(t, err, "open a connection with nats.Connect")
	require.NoError(t, c.Close(t.Context()))
	_, err = c.NATSConn(t.Context())
	require.ErrorIs(t, err, client.ErrClosed)
}
