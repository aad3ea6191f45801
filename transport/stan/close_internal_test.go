package stan

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// linkOnly is a session of which only the link matters.
type linkOnly struct {
	stanSession

	up atomic.Bool
}

func (l *linkOnly) connected() bool { return l.up.Load() }

// TestDrainEndsWithTheLastPublish, at once, or with its context.
func TestDrainEndsWithTheLastPublish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newConn(transport.Config{ClientID: "c"}, nil)
		c.maxPayload.Store(1 << 20)
		ticket := c.Publish(transport.Message{Subject: "a"}, transport.ReceiptFunc(func(error) {}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "1 publish not confirmed (1 of a)")

		started := time.Now()
		time.AfterFunc(time.Millisecond, func() { c.Abandon(ticket) })
		require.NoError(t, c.drain(t.Context()))
		require.Equal(t, time.Millisecond, time.Since(started))
		require.NoError(t, c.drain(t.Context()))
	})
}

// TestAwaitLinkEndsWhenTheLinkIsBack, or after a while.
func TestAwaitLinkEndsWhenTheLinkIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, link := newConn(transport.Config{ClientID: "c"}, nil), &linkOnly{}
		started := time.Now()
		require.False(t, c.awaitLink(t.Context(), link))
		require.Equal(t, leaveWait, time.Since(started))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.False(t, c.awaitLink(ctx, link))

		started = time.Now()
		time.AfterFunc(time.Millisecond, func() {
			link.up.Store(true)
			c.linkRestored()
		})
		require.True(t, c.awaitLink(t.Context(), link))
		require.Equal(t, time.Millisecond, time.Since(started))
	})
}
