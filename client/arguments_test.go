package client_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/transport"
)

// TestSwappedArguments are told, without the password that a URL may hold.
func TestSwappedArguments(t *testing.T) {
	t.Parallel()
	const url = "nats://user:secret@localhost:4222"
	dial := client.Transport((&fakeconn.Conn{}).Dialer())
	for _, opts := range [][]client.Option{{quiet()}, {quiet(), client.JetStream()}, {quiet(), dial}} {
		for text, swapped := range map[string][3]string{
			"build client: invalid cluster ID: it is a URL; the arguments of Build are": {url, "orders-1", "ticketing"},
			"build client: invalid client ID: it is a URL":                              {"ticketing", url, "orders-1"},
		} {
			_, err := client.Build(t.Context(), swapped[0], swapped[1], swapped[2], opts...)
			require.ErrorIs(t, err, client.ErrInvalid)
			require.ErrorContains(t, err, text)
			require.NotContains(t, err.Error(), "secret")
		}
	}
}

// TestSwappedIDs: where no cluster has the ID, the error says that it may be the client's.
func TestSwappedIDs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.Build(ctx, "orders-1", "ticketing", "nats://x", quiet(),
		client.Transport(func(context.Context, transport.Config) (transport.Conn, error) {
			cancel()
			return nil, transport.ErrNoCluster
		}))
	require.ErrorIs(t, err, client.ErrNoCluster)
	require.ErrorContains(t, err, `that the cluster ID "orders-1" and the client ID "ticketing" are not swapped`)
}
