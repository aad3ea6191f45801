package listener_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// TestNakAfterListen: over a broker that can't be told there is nothing to send, so
// that it is no error; over one that can, it is too late.
func TestNakAfterListen(t *testing.T) {
	t.Parallel()
	for _, features := range []transport.Features{{}, {Nak: true}} {
		synctest.Test(t, func(t *testing.T) {
			var kept listener.Delivery
			b := listenOn(t, &fakeconn.Conn{Declared: features}, func(_ context.Context, _ expiration, d listener.Delivery) error {
				kept = d
				return nil
			}, listener.ManualAck())
			b.deliver(1)
			synctest.Wait()
			b.stop()
			require.NoError(t, <-b.ended)
			err := kept.Nak(errors.New("not today"))
			if features.Nak {
				require.ErrorIs(t, err, listener.ErrSubscriptionClosed)
			} else {
				require.NoError(t, err)
			}
			require.ErrorIs(t, kept.Nak(nil), listener.ErrSettled)
		})
	}
}

// TestAcknowledgedAgain: what comes again although it was acknowledged is
// acknowledged once more, and not run; Listen waits for that, too.
func TestAcknowledgedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		b := listen(t, func(context.Context, expiration, listener.Delivery) error {
			runs.Add(1)
			return nil
		})
		one := b.deliver(1)
		synctest.Wait()
		again := b.deliver(1)
		b.stop()
		require.NoError(t, <-b.ended)
		require.Equal(t, 1, one.Acks())
		require.Equal(t, 1, again.Acks())
		require.Equal(t, int64(1), runs.Load())
	})
}

func TestZeroDelivery(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, listener.Delivery{}.Ack(), listener.ErrNotDelivered)
	require.ErrorIs(t, listener.Delivery{}.Nak(nil), listener.ErrNotDelivered)
}
