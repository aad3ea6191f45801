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
			"1 handler still running (sequence 1): what is not acknowledged comes again (context deadline exceeded)")
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
		require.Equal(t, 10050*time.Millisecond, time.Since(started))
		require.ErrorIs(t, err, listener.ErrUnfinished)
		require.ErrorIs(t, err, unconfirmed)
	})
}

// TestLeavingIsWithinTheDrain: a server that does not confirm the end of the
// subscription has 2.5 s, and no more than what is left of the drain.
func TestLeavingIsWithinTheDrain(t *testing.T) {
	t.Parallel()
	for drain, want := range map[time.Duration]time.Duration{30 * time.Second: 2500 * time.Millisecond, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			conn := &fakeconn.Conn{OnLeave: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
			b := listenOn(t, conn, func(context.Context, expiration, listener.Delivery) error { return nil }, listener.DrainTimeout(drain))
			started := time.Now()
			b.stop()
			require.ErrorIs(t, <-b.ended, context.DeadlineExceeded)
			require.Equal(t, want, time.Since(started))
		})
	}
}

// TestLeavingInVain: even where neither the handler nor what tells the server keeps to
// its time, Listen lasts no more than 0.1 s beyond the drain, and a client's Close less
// beyond its deadline.
func TestLeavingInVain(t *testing.T) {
	t.Parallel()
	hangs := func(t *testing.T) (*bench, func()) {
		t.Helper()
		let := make(chan struct{})
		conn := &fakeconn.Conn{OnLeave: func(context.Context) error { <-let; return nil }}
		b := listenOn(t, conn, func(context.Context, expiration, listener.Delivery) error { <-let; return nil }, listener.DrainTimeout(10*time.Second))
		b.deliver(1)
		synctest.Wait()
		return b, func() { close(let) }
	}
	synctest.Test(t, func(t *testing.T) {
		b, let := hangs(t)
		defer let()
		started := time.Now()
		b.stop()
		require.ErrorIs(t, <-b.ended, listener.ErrUnfinished)
		require.Equal(t, 10075*time.Millisecond, time.Since(started))
	})
	synctest.Test(t, func(t *testing.T) {
		b, let := hangs(t)
		defer let()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		require.ErrorIs(t, b.client.Close(ctx), listener.ErrUnfinished)
		require.Equal(t, 1025*time.Millisecond, time.Since(started))
		require.ErrorIs(t, <-b.ended, listener.ErrUnfinished)
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

// TestUnfinished: what the drain leaves is named by its sequences, as far as that can be
// read.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		var letter transport.Receipt // which is not answered in time
		conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { letter = r }}
		b := listenOn(t, conn, func(_ context.Context, _ expiration, d listener.Delivery) error {
			switch {
			case d.Sequence <= 2:
				<-hang
			case d.Sequence == 3:
				_ = d.Ack()
				<-hang
			case d.Sequence == 4:
				return d.Ack()
			case d.Sequence == 5:
				return listener.Reject(errNotToday)
			}
			return nil
		}, listener.ManualAck(), listener.Concurrency(4), listener.MaxInFlight(100), listener.DrainTimeout(time.Second))
		for sequence := range uint64(30) {
			b.deliver(sequence + 1)
		}
		synctest.Wait()
		b.stop()
		require.EqualError(t, <-b.ended, "listen to expiration:complete as expirations: unfinished: "+
			"3 handlers still running (sequences 1, 2, 3), "+
			"25 events not settled (sequences 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25 and 5 more), "+
			"1 dead letter not stored (sequence 5): what is not acknowledged comes again (context deadline exceeded)")
		letter.Done(transport.ErrOutcomeUnknown)
	})
}
