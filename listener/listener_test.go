package listener_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(context.Context, expiration, listener.Delivery) error { return nil })
		config := b.conn.Subscriptions()[0].Config
		require.Equal(t, 1, config.Room(), "before a handler has shown how long it takes")
		require.Equal(t, 1, config.Startable())
		config.Room, config.Startable, config.Interrupted, config.AckWaitChanged = nil, nil, nil, nil
		require.Equal(t, transport.SubscribeConfig{
			Subject: "expiration:complete", Group: "expirations", Durable: "expirations",
			Start: transport.All, AckWait: 5 * time.Second, MaxInFlight: 16,
			EventType: "github.com/sgtickets/common/events.ExpirationComplete",
		}, config)
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestListenTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c, _ := build(t, conn)
		l, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil })
		require.NoError(t, err)
		for range 2 { // again after it returned
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			ready := l.Ready()
			go func() { ended <- l.Listen(ctx) }()
			<-ready
			require.ErrorIs(t, l.Listen(ctx), listener.ErrListening)
			require.ErrorIs(t, l.DeleteDurable(ctx), listener.ErrListening)
			stop()
			require.NoError(t, <-ended)
		}
		require.NoError(t, l.DeleteDurable(t.Context()))
		require.Len(t, conn.Deleted(), 1)

		deleting, refused := make(chan struct{}), errors.New("not today")
		conn.OnDelete = func(context.Context) error {
			<-deleting
			return refused
		}
		deleted := make(chan error)
		go func() { deleted <- l.DeleteDurable(t.Context()) }()
		synctest.Wait()
		err = l.Listen(t.Context())
		require.NotErrorIs(t, err, listener.ErrListening)
		require.EqualError(t, err, "listen to expiration:complete as g: DeleteDurable is under way; wait until it has returned")
		close(deleting)
		err = <-deleted
		require.ErrorIs(t, err, refused)
		require.EqualError(t, err, "delete the durable of expiration:complete as g: not today")
	})
}

func TestConnectionLostEndsListen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(context.Context, expiration, listener.Delivery) error { return nil })
		b.conn.End(transport.ErrConnectionLost)
		require.ErrorIs(t, <-b.ended, listener.ErrConnectionLost)
	})
}
