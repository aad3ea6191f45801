package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestTransportFromEnv: the environment chooses between the two brokers, and options for
// one of them are no error where it chooses the other.
func TestTransportFromEnv(t *testing.T) {
	dial := client.Transport((&fakeconn.Conn{}).Dialer())
	for _, tc := range []struct {
		value string
		opts  []client.Option
		text  string
	}{
		{"Jetstream", nil, `NATS_TRANSPORT "Jetstream": use streaming or jetstream`},
		{"streaming", []client.Option{dial}, "it would have no effect"},
		{"jetstream", []client.Option{dial}, "it would have no effect"},
		// Those that are possible fail for the URL alone, as the transport that was chosen.
		{"", nil, "unknown scheme"},
		{"streaming", nil, "unknown scheme"},
		{"streaming", []client.Option{client.JetStream(jetstream.Replicas(3))}, "unknown scheme"},
		{"jetstream", nil, "names the stream"},
		{"jetstream", []client.Option{client.JetStream()}, "names the stream"},
		{"", []client.Option{client.JetStream()}, "names the stream"},
		// Option JetStream adds up.
		{"jetstream", []client.Option{client.JetStream(jetstream.Replicas(9)), client.JetStream()}, "Replicas: 9"},
		{"", []client.Option{client.JetStream(), client.JetStream(jetstream.Replicas(9))}, "Replicas: 9"},
	} {
		t.Setenv("NATS_TRANSPORT", tc.value)
		t.Setenv("NATS_URL", "ftp://nowhere")
		t.Setenv("NATS_CLUSTER_ID", "a.cluster") // which a stream can't be called
		_, err := client.FromEnv(t.Context(), append([]client.Option{quiet()}, tc.opts...)...)
		require.ErrorIs(t, err, client.ErrInvalid, "%q", tc.value)
		require.ErrorContains(t, err, tc.text, "%q", tc.value)
	}
	t.Setenv("NATS_TRANSPORT", "")
	c, err := client.FromEnv(t.Context(), quiet(), dial)
	require.NoError(t, err)
	require.NoError(t, c.Close(t.Context()))
}

// TestClientIDOfSeveralClients: a process may have several, although there is one
// NATS_CLIENT_ID.
func TestClientIDOfSeveralClients(t *testing.T) {
	t.Setenv("NATS_CLIENT_ID", "from-env")
	for _, id := range []string{"one", "two"} {
		c, err := client.FromEnv(t.Context(), quiet(), client.Transport(new(fakeconn.Conn).Dialer()), client.ClientID(id))
		require.NoError(t, err)
		require.Equal(t, id, c.ClientID())
		require.NoError(t, c.Close(t.Context()))
	}
	_, err := client.FromEnv(t.Context(), quiet(), client.ClientID(""))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option ClientID: it is empty")
	_, err = client.Build(t.Context(), "ticketing", "me", "nats://unused", quiet(), client.ClientID("one"))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option ClientID: it is for FromEnv")
}
