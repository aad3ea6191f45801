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
)

// TestDrain: the running handler finishes and is acknowledged, although Listen's
// context is done; what waits is left for redelivery.
func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			select {
			case <-time.After(4 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		one, two := b.deliver(1), b.deliver(2)
		synctest.Wait()
		started := time.Now()
		b.stop()
		require.NoError(t, <-b.ended)
		require.Equal(t, 4*time.Second, time.Since(started))
		require.Equal(t, 1, one.Acks())
		require.Zero(t, two.Acks())
	})
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan error, 1)
		b := listen(t, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			<-ctx.Done()
			cut <- ctx.Err()
			return ctx.Err()
		}, listener.DrainTimeout(10*time.Second))
		one := b.deliver(1)
		synctest.Wait()
		started := time.Now()
		b.stop()
		err := <-b.ended
		require.Equal(t, 10*time.Second, time.Since(started))
		require.ErrorIs(t, err, listener.ErrUnfinished)
		require.EqualError(t, err, "listen to expiration:complete as expirations: unfinished: "+
			"1 handlers still running (sequences [1]), 0 events not settled, 0 dead letters not stored: they come again (context deadline exceeded)")
		require.ErrorIs(t, <-cut, context.Canceled)
		require.Zero(t, one.Acks())
	})
}

// TestTheServerIsToldAfterAnUnfinishedDrain: the end of the subscription has a time
// of its own, and what it lacked is in the error, too.
func TestTheServerIsToldAfterAnUnfinishedDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unconfirmed := errors.New("not confirmed")
		conn := &fakeconn.Conn{OnLeave: func(ctx context.Context) error {
			require.NoError(t, ctx.Err())
			<-ctx.Done() // the server does not answer
			return unconfirmed
		}}
		b := listenOn(t, conn, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		}, listener.DrainTimeout(10*time.Second))
		b.deliver(1)
		synctest.Wait()
		started := time.Now()
		b.stop()
		err := <-b.ended
		require.Equal(t, 12500*time.Millisecond, time.Since(started))
		require.ErrorIs(t, err, listener.ErrUnfinished)
		require.ErrorIs(t, err, unconfirmed)
	})
}

// TestManualDrain: the drain waits for what is not settled until its ack wait has
// passed, since it comes again then.
func TestManualDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deliveries := make(chan listener.Delivery, 2)
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			deliveries <- d
			return nil
		}, listener.ManualAck())
		one, two := b.deliver(1), b.deliver(2)
		first, second := <-deliveries, <-deliveries
		require.NoError(t, first.Ack())
		started := time.Now()
		b.stop()
		require.NoError(t, <-b.ended)
		require.Equal(t, 5*time.Second, time.Since(started))
		require.Equal(t, 1, one.Acks())
		require.Zero(t, two.Acks())
		require.ErrorIs(t, first.Ack(), listener.ErrSettled)
		require.ErrorIs(t, second.Ack(), listener.ErrSubscriptionClosed)
		require.Zero(t, two.Acks())
	})
}
