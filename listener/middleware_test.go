package listener_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
)

// noted is a middleware that notes when it is called and what comes back.
func noted(notes *[]string, name string) listener.Middleware {
	return func(next listener.Invocation) listener.Invocation {
		return func(ctx context.Context, event events.Event, d listener.Delivery) error {
			*notes = append(*notes, name+" begins")
			err := next(ctx, event, d)
			*notes = append(*notes, name+" ends")
			return err
		}
	}
}

func TestMiddlewareIsAroundTheHandlerInItsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var notes []string
		conn := &fakeconn.Conn{}
		c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport(conn.Dialer()),
			listener.Defaults(listener.Use(noted(&notes, "everyone's"))), listener.Defaults(listener.Use(noted(&notes, "everyone's second"))))
		require.NoError(t, err)
		l, err := listener.New(c, "expirations", func(context.Context, expiration, listener.Delivery) error {
			notes = append(notes, "handler")
			return nil
		}, listener.Use(noted(&notes, "first"), noted(&notes, "second")), listener.Use(noted(&notes, "third")))
		require.NoError(t, err)
		ended := make(chan error)
		go func() { ended <- l.Listen(t.Context()) }()
		<-l.Ready()
		b := &bench{conn: conn}
		settled := b.deliver(1)
		synctest.Wait()
		require.Equal(t, 1, settled.Acks())
		require.Equal(t, []string{
			"everyone's begins", "everyone's second begins", "first begins", "second begins", "third begins", "handler",
			"third ends", "second ends", "first ends", "everyone's second ends", "everyone's ends",
		}, notes)
		require.NoError(t, c.Close(t.Context()))
		require.NoError(t, <-ended)
	})
}

// TestMiddlewareSeesAndDecides: it gets the event as a value of its type, the
// delivery and its group, the handler's error; and may hand on another context and
// event, and return another error.
func TestMiddlewareSeesAndDecides(t *testing.T) {
	t.Parallel()
	type key struct{}
	refused := errors.New("refused by the middleware")
	synctest.Test(t, func(t *testing.T) {
		var seen []error
		var handled []string
		b := listen(t, func(ctx context.Context, e expiration, d listener.Delivery) error {
			handled = append(handled, e.OrderID)
			require.Equal(t, "of the middleware", ctx.Value(key{}))
			if d.Sequence == 2 {
				return errors.New("not today")
			}
			return nil
		}, listener.Use(func(next listener.Invocation) listener.Invocation {
			return func(ctx context.Context, event events.Event, d listener.Delivery) error {
				e, ok := event.(expiration)
				require.True(t, ok, "%T", event)
				require.Equal(t, "expirations", d.Group)
				require.Equal(t, e.Subject(), d.Subject)
				if d.Sequence == 3 {
					return refused
				}
				if d.Sequence == 4 {
					return next(ctx, events.TicketCreated{}, d)
				}
				if d.Sequence == 5 {
					panic("in the middleware")
				}
				e.OrderID = "order " + e.OrderID
				err := next(context.WithValue(ctx, key{}, "of the middleware"), e, d)
				seen = append(seen, err)
				return err
			}
		}))
		acks := make([]int, 7)
		for n := range uint64(6) {
			settled := b.deliver(n + 1)
			synctest.Wait()
			acks[n+1] = settled.Acks()
		}
		require.Equal(t, []int{0, 1, 0, 0, 0, 0, 1}, acks)
		require.Equal(t, []string{"order 1", "order 2", "order 6"}, handled)
		require.Equal(t, []error{nil, errors.New("not today"), nil}, seen)
		for _, text := range []string{
			"refused by the middleware", "handler panicked",
			"it passed events.TicketCreated on, and the listener's events are events.ExpirationComplete",
		} {
			require.Contains(t, b.log.String(), text)
		}
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestMiddlewareThatCantBeIsRefused(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{})
	for text, opt := range map[string]listener.Option{
		"option Use: it holds no middleware":                            listener.Use(),
		"option Use: its middleware 2 of 2 is nil":                      listener.Use(noted(nil, ""), nil),
		"option Use: middleware 1 of 1 returns nil instead of an Invoc": listener.Use(func(listener.Invocation) listener.Invocation { return nil }),
	} {
		_, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil }, opt)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	for text, opt := range map[string]client.Option{
		"option listener.Defaults: it holds no option":                         listener.Defaults(),
		"option listener.Defaults: invalid option: nil":                        listener.Defaults(nil),
		"option listener.Defaults: invalid option Concurrency: 0; must be fro": listener.Defaults(listener.Concurrency(0)),
	} {
		_, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport((&fakeconn.Conn{}).Dialer()), opt)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
}

func TestDefaultsComeBeforeAListenersOwnOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport(conn.Dialer()),
			listener.Defaults(listener.Concurrency(2), listener.MaxInFlight(100)))
		require.NoError(t, err)
		l, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil }, listener.MaxInFlight(7))
		require.NoError(t, err)
		ended := make(chan error)
		go func() { ended <- l.Listen(t.Context()) }()
		<-l.Ready()
		config := conn.Subscriptions()[0].Config
		require.Equal(t, 7, config.MaxInFlight)
		require.Equal(t, 2, config.Room())
		require.NoError(t, c.Close(t.Context()))
		require.NoError(t, <-ended)
	})
}
