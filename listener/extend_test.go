package listener_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// members runs listeners of one group on the broker, each on a client of its own,
// and returns a publisher and what ends them.
func members(t *testing.T, b *memory.Broker, n int, h listener.Handler[expiration], opts ...listener.Option) (*publisher.Publisher[expiration], func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, n)
	var last *client.Client
	for i := range n {
		c, err := client.Build(t.Context(), "ticketing", "member-"+string(rune('a'+i)), "nats://unused",
			client.Transport(b.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close(context.WithoutCancel(t.Context()))) })
		l, err := listener.New(c, "expirations", h, opts...)
		require.NoError(t, err)
		ready := l.Ready()
		go func() { ended <- l.Listen(ctx) }()
		<-ready
		last = c
	}
	p, err := publisher.New[expiration](last)
	require.NoError(t, err)
	return p, func() {
		stop()
		for range n {
			require.NoError(t, <-ended)
		}
	}
}

// TestASlowHandlerRunsOnce where the ack wait can be extended: itself, and those
// that wait for it, with one member and with two.
func TestASlowHandlerRunsOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			var runs, again atomic.Int32
			p, stop := members(t, memory.New(memory.JetStream()), n, func(_ context.Context, _ expiration, d listener.Delivery) error {
				runs.Add(1)
				if d.Redelivered {
					again.Add(1)
				}
				time.Sleep(12 * time.Second)
				return nil
			})
			for range 10 {
				require.NoError(t, p.Publish(t.Context(), expiration{OrderID: "o"}))
			}
			time.Sleep(10 * 13 * time.Second)
			require.Equal(t, int32(10), runs.Load())
			require.Zero(t, again.Load())
			stop()
		})
	}
}

// TestWhatFailsIsGivenBack, to come again after its backoff, and takes no room
// meanwhile, so that others are not held up.
func TestWhatFailsIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var failed []time.Duration
		var handled []time.Duration
		p, stop := members(t, memory.New(memory.JetStream()), 1, func(_ context.Context, e expiration, d listener.Delivery) error {
			if e.OrderID == "bad" && d.Attempt < 3 {
				failed = append(failed, time.Since(began))
				return errors.New("not yet")
			}
			handled = append(handled, time.Since(began))
			return nil
		}, listener.MaxInFlight(1), listener.Backoff(time.Second, time.Minute))
		require.NoError(t, p.Publish(t.Context(), expiration{OrderID: "bad"}))
		synctest.Wait()
		require.NoError(t, p.Publish(t.Context(), expiration{OrderID: "good"}))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, failed, 2)
		require.InDelta(t, 750*time.Millisecond, failed[1], float64(250*time.Millisecond))
		require.Len(t, handled, 2)
		require.Zero(t, handled[0])
		require.InDelta(t, 1500*time.Millisecond, handled[1]-failed[1], float64(500*time.Millisecond))
		stop()
	})
}

// TestAMemberThatLeavesGivesBack what it has not begun, while what runs finishes.
func TestAMemberThatLeavesGivesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.JetStream())
		var first, second atomic.Int32
		p, leave := members(t, b, 1, func(context.Context, expiration, listener.Delivery) error {
			first.Add(1)
			time.Sleep(20 * time.Second)
			return nil
		})
		for range 3 {
			require.NoError(t, p.Publish(t.Context(), expiration{OrderID: "o"}))
		}
		synctest.Wait()
		go func() {
			time.Sleep(time.Second)
			leave()
		}()
		time.Sleep(500 * time.Millisecond)
		c, err := client.Build(t.Context(), "ticketing", "other", "nats://unused", client.Transport(b.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		l, err := listener.New(c, "expirations", func(context.Context, expiration, listener.Delivery) error {
			second.Add(1)
			return nil
		})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Listen(ctx) }()
		time.Sleep(2 * time.Second)
		require.Equal(t, int32(1), first.Load())
		require.Equal(t, int32(2), second.Load(), "not only when the drain is over")
		time.Sleep(time.Minute)
		require.Equal(t, int32(2), second.Load(), "what ran was finished, and is acknowledged")
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, c.Close(t.Context()))
	})
}

// TestRoom: no more is asked for than can be begun within the ack wait.
func TestRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		takes := time.Duration(0)
		b := listen(t, func(context.Context, expiration, listener.Delivery) error {
			time.Sleep(takes)
			return nil
		}, listener.Concurrency(2))
		config := b.conn.Subscriptions()[0].Config
		require.Equal(t, transport.SubscribeConfig{}.MaxInFlight+32, config.MaxInFlight)
		for n, want := range []int{2, 32, 4, 2} {
			if n > 0 {
				takes = []time.Duration{0, 0, 2 * time.Second, time.Minute}[n]
				b.deliver(uint64(n))
				time.Sleep(2 * time.Minute)
			}
			require.Equal(t, want, config.Room(), "after %v", takes)
		}
		b.stop()
		require.NoError(t, <-b.ended)
	})
}
