package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

var noContext context.Context // nil, as a field that was never set

// TestClientThatBuildDidNotMake: a nil one in a service's own type, or the zero value, fails
// with an error that says so, and never panics.
func TestClientThatBuildDidNotMake(t *testing.T) {
	t.Parallel()
	for _, c := range []*client.Client{nil, new(client.Client)} {
		_, natsErr := c.NATSConn(t.Context())
		_, componentErr := c.Component("outbox")
		for call, err := range map[string]error{
			"close": c.Close(t.Context()), "health": c.Healthy(t.Context()), "run": client.Run(t.Context(), c),
			"NATS connection": natsErr, `component "outbox"`: componentErr,
		} {
			require.ErrorIs(t, err, client.ErrInvalid)
			require.EqualError(t, err, call+": invalid client: nil; make one with Build or FromEnv")
		}
		require.ErrorIs(t, c.Err(), client.ErrInvalid)
		<-c.Done()
		require.Equal(t, client.Closed, c.Status().State)
		require.ErrorIs(t, c.Status().Err, client.ErrInvalid)
		require.Empty(t, c.ClientID()+c.ClusterID())
		require.Zero(t, c.Features())
		for range c.Watch(t.Context()) {
			t.Error("it has no events")
		}
		answer := httptest.NewRecorder()
		client.HealthHandler(c).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
		require.Contains(t, answer.Body.String(), "invalid client: nil")
	}
}

// TestNoContext: each call that takes one names itself, and changes nothing.
func TestNoContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial := client.Transport(new(fakeconn.Conn).Dialer())
		_, err := client.Build(noContext, "ticketing", "me", "nats://unused", dial)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.EqualError(t, err, "build client: invalid context: nil; use context.Background()")
		_, err = client.FromEnv(noContext, dial)
		require.EqualError(t, err, "build client: invalid context: nil; use context.Background()")

		c, err := client.Build(t.Context(), "ticketing", "me", "nats://unused", dial)
		require.NoError(t, err)
		_, natsErr := c.NATSConn(noContext)
		for call, err := range map[string]error{"close": c.Close(noContext), "health": c.Healthy(noContext), "NATS connection": natsErr} {
			require.ErrorIs(t, err, client.ErrInvalid)
			require.EqualError(t, err, call+`: client "me": invalid context: nil; use context.Background()`)
		}
		require.NoError(t, c.Err(), "it is still open")
		require.NoError(t, c.Healthy(t.Context()))

		watched := c.Watch(noContext) // which has no error to return
		err = client.Run(noContext, c)
		require.EqualError(t, err, `run: client "me": invalid context: nil; use context.Background()`)
		require.ErrorIs(t, c.Err(), client.ErrClosed, "the client is closed when Run returns, in any case")
		for e := range watched {
			require.Equal(t, client.EventClosed, e.Kind)
		}
	})
}

func TestComponentThatClientDidNotMake(t *testing.T) {
	t.Parallel()
	for _, p := range []*client.Component{nil, new(client.Component)} {
		for _, err := range []error{
			p.Degrade("reason", nil), p.Tell("text", nil), p.Check(func(context.Context) error { return nil }),
		} {
			require.ErrorIs(t, err, client.ErrInvalid)
			require.EqualError(t, err, "invalid component: nil; make one with Client.Component")
		}
		p.Recover("reason")
		p.Observe(observe.Observation{})
		p.Close()
		require.False(t, p.Observes())
		require.Empty(t, p.Name())
	}
}

func TestNilFunctions(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, client.RunnerFunc(nil).Listen(t.Context()), client.ErrInvalid)
	_, err := client.Build(t.Context(), "ticketing", "me", "nats://unused", client.Observe(observe.Func(nil)))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option Observe: nil")
	_, err = client.Build(t.Context(), "ticketing", "me", "nats://unused", client.Transport(transport.Dialer(nil)))
	require.ErrorIs(t, err, client.ErrInvalid)
}
