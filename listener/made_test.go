package listener_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/observe"
)

// TestNoContext: each call that takes one names itself, and does nothing.
func TestNoContext(t *testing.T) {
	t.Parallel()
	var none context.Context // nil, as a field that was never set
	c, err := client.Build(t.Context(), "ticketing", "me", "nats://unused", client.Transport(new(fakeconn.Conn).Dialer()))
	require.NoError(t, err)
	l, err := listener.New(c, "g", func(context.Context, events.ExpirationComplete, listener.Delivery) error { return nil })
	require.NoError(t, err)
	raw, err := listener.NewRaw(c, "x", "g", func(context.Context, []byte, listener.Delivery) error { return nil })
	require.NoError(t, err)
	for text, err := range map[string]error{
		"listen to expiration:complete as g":             l.Listen(none),
		"delete the durable of expiration:complete as g": l.DeleteDurable(none),
		"listen to x as g":                               raw.Listen(none),
		"delete the durable of x as g":                   raw.DeleteDurable(none),
		"run":                                            listener.Run(none, l),
	} {
		require.ErrorIs(t, err, client.ErrInvalid)
		require.EqualError(t, err, text+": invalid context: nil; use context.Background()")
	}
	require.NoError(t, l.DeleteDurable(t.Context()), "it is not listening")
}

// TestListenerThatNewDidNotMake: a nil one in a service's own type, or the zero value.
func TestListenerThatNewDidNotMake(t *testing.T) {
	t.Parallel()
	for _, l := range []*listener.Listener[events.ExpirationComplete]{nil, {}} {
		require.EqualError(t, l.Listen(t.Context()), "listen to expiration:complete: invalid listener: nil; make one with New")
		require.EqualError(t, l.DeleteDurable(t.Context()), "delete the durable of expiration:complete: invalid listener: nil; make one with New")
		require.ErrorIs(t, l.Listen(t.Context()), client.ErrInvalid)
		require.Nil(t, l.Ready())
	}
	for _, l := range []*listener.Raw{nil, {}} {
		require.EqualError(t, l.Listen(t.Context()), "listen to no subject: invalid raw listener: nil; make one with NewRaw")
		require.EqualError(t, l.DeleteDurable(t.Context()), "delete the durable of no subject: invalid raw listener: nil; make one with NewRaw")
		require.Nil(t, l.Ready())
	}
	require.Equal(t, "listen to no subject", new(listener.Error).Error())
	var zero listener.MemoryVersions
	require.NoError(t, zero.SetAppliedVersion(t.Context(), "o1", listener.NoVersion, 0))
	version, err := zero.AppliedVersion(t.Context(), "o1")
	require.NoError(t, err)
	require.Zero(t, version)
}

func TestClientThatBuildDidNotMake(t *testing.T) {
	t.Parallel()
	for _, c := range []*client.Client{nil, new(client.Client)} {
		_, err := listener.New(c, "g", func(context.Context, events.ExpirationComplete, listener.Delivery) error { return nil })
		require.EqualError(t, err, "listen to expiration:complete as g: invalid client: nil; make one with client.Build or client.FromEnv")
		require.ErrorIs(t, err, client.ErrInvalid)
		_, err = listener.NewRaw(c, "x", "g", func(context.Context, []byte, listener.Delivery) error { return nil })
		require.ErrorContains(t, err, "invalid client: nil")
		_, err = listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "g", Subject: listener.AllSubjects},
			func(context.Context, events.DeadLetter, listener.Delivery) error { return nil })
		require.ErrorContains(t, err, "invalid client: nil")
	}
}

// TestNilInOptions: a variable that was never set is refused by New, and not by the first
// event.
func TestNilInOptions(t *testing.T) {
	t.Parallel()
	c, err := client.Build(t.Context(), "ticketing", "me", "nats://unused", client.Transport(new(fakeconn.Conn).Dialer()))
	require.NoError(t, err)
	var versions *listener.MemoryVersions
	var json *codec.JSON
	for text, option := range map[string]listener.Option{
		"option: nil (number 2 of 2); leave it out": nil,
		"option Codec: nil":                         listener.Codec(json),
		"option InVersionOrder: its store is nil":   listener.InVersionOrder(versions),
		"option Observe: nil":                       listener.Observe(observe.Func(nil)),
	} {
		_, err := listener.New(c, "g", func(context.Context, events.OrderCreated, listener.Delivery) error { return nil }, listener.MaxAttempts(2), option)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
}
