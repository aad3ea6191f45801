package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/transport"
)

// TestEventKinds: each kind that a transport has, the client has under the same value and name.
func TestEventKinds(t *testing.T) {
	t.Parallel()
	kinds := map[client.EventKind]transport.EventKind{
		client.EventDisconnected: transport.Disconnected, client.EventReconnected: transport.Reconnected,
		client.EventSessionReplaced: transport.SessionReplaced, client.EventStoreLost: transport.StoreLost,
		client.EventServersDiscovered: transport.ServersDiscovered, client.EventLameDuck: transport.LameDuck,
		client.EventSlowConsumer: transport.SlowConsumer, client.EventAsyncError: transport.AsyncError,
		client.EventDegraded: transport.Degraded, client.EventRecovered: transport.Recovered, client.EventClosed: transport.Closed,
		client.EventMessagesRemoved: transport.MessagesRemoved, client.EventMessagesGivenUp: transport.MessagesGivenUp,
	}
	for of, from := range kinds {
		require.EqualValues(t, from, of)
		require.Equal(t, from.String(), of.String())
	}
	require.Equal(t, "EventKind(14)", transport.EventKind(len(kinds)+1).String(), "one that the client lacks")
	require.Equal(t, "EventKind(14)", client.EventKind(len(kinds)+1).String())
	require.Equal(t, "EventKind(0)", client.EventKind(0).String())
	require.Equal(t, "component", client.EventComponent.String())
	require.Equal(t, "dead-lettered", client.EventDeadLettered.String())
	require.Equal(t, "undecodable", client.EventUndecodable.String())
}
