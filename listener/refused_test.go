package listener_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

func orderID(e events.OrderCreated) string { return e.ID }

type free struct{}

func (free) Subject() subjects.Subject { return "free" }

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{Declared: transport.Features{AckWaitUnit: time.Second}})
	h := func(context.Context, expiration, listener.Delivery) error { return nil }
	type o = listener.Option
	for _, test := range []struct {
		group string
		opts  []listener.Option
		text  string
	}{
		{"a:b", nil, `queue group "a:b": it holds a ':'`},
		{"a\xff", nil, `queue group: the name "a\xff" is not UTF-8`},
		{"g", []o{listener.DurableName("")}, "DurableName: the name is empty"},
		{"g", []o{listener.DurableName("a\xff")}, "DurableName: the name"},
		{"g", []o{listener.DurableName("a:b")}, `DurableName "a:b": it holds a ':'`},
		{"a:b", []o{listener.DurableName("a:b")}, `DurableName "a:b": it holds a ':'`},
		{"g", []o{listener.DurableName("d"), listener.Ephemeral()}, "Ephemeral and DurableName: they exclude one another"},
		{"g", []o{listener.AckWait(0)}, "option AckWait: 0s; must be positive"},
		{"g", []o{listener.AckWait(-1)}, "option AckWait: -1ns; must be positive"},
		{"g", []o{listener.AckWait(1500 * time.Millisecond)}, "option AckWait: 1.5s; this broker takes multiples of 1s; use 2s"},
		{"g", []o{listener.MaxInFlight(0)}, "option MaxInFlight: 0; must be from 1"},
		{"g", []o{listener.MaxInFlight(-3)}, "option MaxInFlight: -3"},
		{"g", []o{listener.MaxInFlight(1 << 40)}, "option MaxInFlight"},
		{"g", []o{listener.Concurrency(0)}, "option Concurrency: 0"},
		{"g", []o{listener.Concurrency(-1)}, "option Concurrency: -1"},
		{"g", []o{listener.Concurrency(8), listener.MaxInFlight(7)}, "MaxInFlight: 7 is less than Concurrency 8"},
		{"g", []o{listener.HandlerTimeout(0)}, "option HandlerTimeout: 0s; must be positive"},
		{"g", []o{listener.HandlerTimeout(-time.Second)}, "option HandlerTimeout: -1s"},
		{"g", []o{listener.DrainTimeout(0)}, "option DrainTimeout: 0s; must be positive"},
		{"g", []o{listener.DrainTimeout(-time.Second)}, "option DrainTimeout: -1s"},
		{"g", []o{listener.StartAt(listener.Sequence(0))}, "option StartAt: invalid: sequence 0"},
		{"g", []o{listener.StartAt(listener.Since(time.Time{}))}, "since the zero time"},
		{"g", []o{listener.StartAt(listener.Ago(-time.Second))}, "-1s ago: must be positive"},
		{"g", []o{listener.OrderingKey[expiration](nil)}, "option OrderingKey: nil"},
		{"g", []o{listener.Concurrency(2), listener.OrderingKey(orderID)}, "OrderingKey: it is a func(events.OrderCreated) string, and"},
		{"g", []o{listener.OrderingKey(orderID)}, "OrderingKey: it is a func(events.OrderCreated) string, and"},
		{"g", []o{listener.Codec(nil)}, "option Codec: nil"},
		{"g", []o{nil}, "option: nil"},
	} {
		_, err := listener.New(c, test.group, h, test.opts...)
		require.ErrorIs(t, err, client.ErrInvalid, test.text)
		require.ErrorContains(t, err, test.text)
		require.ErrorContains(t, err, "expiration:complete")
	}
	_, err := listener.New[expiration](c, "g", nil)
	require.ErrorContains(t, err, "handler: nil")
	_, err = listener.New(nil, "g", h)
	require.ErrorContains(t, err, "client: nil")
	_, err = listener.New(c, "g", func(context.Context, *expiration, listener.Delivery) error { return nil })
	require.ErrorContains(t, err, "it is a pointer; use events.ExpirationComplete")
	_, err = listener.New(c, "g", func(context.Context, events.Event, listener.Delivery) error { return nil })
	require.ErrorContains(t, err, "it is an interface")
	_, err = listener.New(c, "", func(context.Context, events.DeadLetter, listener.Delivery) error { return nil })
	require.ErrorContains(t, err, "listen with listener.NewDeadLetters")
	_, err = listener.New(c, "g", func(context.Context, free, listener.Delivery) error { return nil }, listener.Validate())
	require.ErrorContains(t, err, "listener_test.free has no method Validate")

	l, err := listener.New(c, "", h)
	require.NoError(t, err)
	require.ErrorContains(t, l.DeleteDurable(t.Context()), "no durable to delete")
}
