package natsconn

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// TestCallbacksAreChained: each of the caller's runs after the transport's own.
func TestCallbacksAreChained(t *testing.T) {
	t.Parallel()
	var calls []string
	conn := func(name string) nats.ConnHandler {
		return func(*nats.Conn) { calls = append(calls, name) }
	}
	connErr := func(name string) nats.ConnErrHandler {
		return func(*nats.Conn, error) { calls = append(calls, name) }
	}
	async := func(name string) nats.ErrHandler {
		return func(*nats.Conn, *nats.Subscription, error) { calls = append(calls, name) }
	}
	ours := func(o *nats.Options) {
		o.ClosedCB, o.ConnectedCB, o.ReconnectedCB = conn("our closed"), conn("our connected"), conn("our reconnected")
		o.DiscoveredServersCB, o.LameDuckModeHandler = conn("our discovered"), conn("our lame duck")
		o.DisconnectedErrCB, o.ReconnectErrCB = connErr("our disconnected"), connErr("our reconnect error")
		o.AsyncErrorCB = async("our error")
	}
	call := func(o nats.Options) []string {
		calls = nil
		for _, f := range []nats.ConnHandler{o.ClosedCB, o.ConnectedCB, o.ReconnectedCB, o.DiscoveredServersCB, o.LameDuckModeHandler} {
			f(nil)
		}
		o.DisconnectedErrCB(nil, nil)
		o.ReconnectErrCB(nil, nil)
		o.AsyncErrorCB(nil, nil, nil)
		return calls
	}

	alone, err := buildOptions(ours, nil)
	require.NoError(t, err)
	require.Equal(t, []string{
		"our closed", "our connected", "our reconnected", "our discovered", "our lame duck",
		"our disconnected", "our reconnect error", "our error",
	}, call(alone))

	both, err := buildOptions(ours, []nats.Option{
		nats.ClosedHandler(conn("closed")), nats.ConnectHandler(conn("connected")), nats.ReconnectHandler(conn("reconnected")),
		nats.DiscoveredServersHandler(conn("discovered")), nats.LameDuckModeHandler(conn("lame duck")),
		nats.DisconnectErrHandler(connErr("disconnected")), nats.ReconnectErrHandler(connErr("reconnect error")), nats.ErrorHandler(async("error")),
	})
	require.NoError(t, err)
	require.Equal(t, []string{
		"our closed", "closed", "our connected", "connected", "our reconnected", "reconnected",
		"our discovered", "discovered", "our lame duck", "lame duck",
		"our disconnected", "disconnected", "our reconnect error", "reconnect error", "our error", "error",
	}, call(both))
}

// TestReconnectingIsNotTheCallers: it never gives up, and buffers nothing.
func TestReconnectingIsNotTheCallers(t *testing.T) {
	t.Parallel()
	o, err := buildOptions(func(*nats.Options) {}, []nats.Option{nats.Name("mine"), nil})
	require.NoError(t, err)
	require.Equal(t, "mine", o.Name)
	require.Equal(t, -1, o.MaxReconnect)
	require.Equal(t, -1, o.ReconnectBufSize)
	require.True(t, o.AllowReconnect)

	failing := errors.New("no such key")
	_, err = buildOptions(func(*nats.Options) {}, []nats.Option{func(*nats.Options) error { return failing }})
	require.ErrorIs(t, err, failing)
}
