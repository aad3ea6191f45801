package eventtest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/listener"
)

func TestListen(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		handled, orders := make(chan string, 2), make(chan string, 1)
		// One that begins at what is new gets what is published from now on.
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, _ listener.Delivery) error {
			handled <- e.OrderID
			return nil
		}, listener.StartAt(listener.NewOnly))
		other := struct {
			*listener.Listener[events.OrderCancelled]
		}{
			listenerOf(t, b.Client(), func(_ context.Context, e events.OrderCancelled, _ listener.Delivery) error {
				orders <- e.ID
				return nil
			}),
		}
		began := make(chan struct{})
		eventtest.Listen(t, l, other, client.RunnerFunc(func(ctx context.Context) error {
			close(began)
			<-ctx.Done()
			return nil
		}))
		publish(t, b, expiration{OrderID: "o1"})
		publish(t, b, events.OrderCancelled{ID: "o2", Ticket: events.CancelledTicket{ID: "t1"}})
		require.Equal(t, "o1", <-handled)
		require.Equal(t, "o2", <-orders)
		<-began
	})
}

// TestListenDrains: a handler that runs at the end of the test finishes.
func TestListenDrains(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		finished := false
		require.Empty(t, try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			began := make(chan struct{})
			eventtest.Listen(tb, listenerOf(tb, b.Client(), func(context.Context, expiration, listener.Delivery) error {
				close(began)
				time.Sleep(10 * time.Millisecond)
				finished = true
				return nil
			}))
			publish(tb, b, expiration{OrderID: "o1"})
			<-began
		}))
		require.True(t, finished)
	})
}

func TestListenStopsEarlier(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		handled := make(chan int, 1)
		l := listenerOf(t, b.Client(), func(_ context.Context, _ expiration, d listener.Delivery) error {
			handled <- int(d.Sequence)
			return nil
		})
		stop := eventtest.Listen(t, l)
		stop()
		stop()
		publish(t, b, expiration{OrderID: "o1"})
		eventtest.Listen(t, l)
		require.Equal(t, 1, <-handled, "it goes on where it was")
	})
}

func TestListenFailsTheTest(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		// A listener can't begin.
		failure := try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			l := listenerOf(tb, b.Client(), refuse)
			require.NoError(tb, b.Client().Close(context.Background()))
			eventtest.Listen(tb, l)
			tb.Errorf("it went on")
		})
		require.Contains(t, failure, "runner 1 of 1 (*listener.Listener[")
		require.Contains(t, failure, "listen to expiration:complete as g: closed")
		require.Contains(t, failure, "ended before it listened")
		require.NotContains(t, failure, "it went on")

		// It loses its connection.
		failure = try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			eventtest.Listen(tb, listenerOf(tb, b.Client(), refuse))
			b.Broker().EndConnections()
		})
		require.Contains(t, failure, "listen to expiration:complete as g: connection lost")

		// Another runner fails, or ends the test on the wrong goroutine.
		failure = try(t, func(tb testing.TB) {
			eventtest.Listen(tb, client.RunnerFunc(func(ctx context.Context) error { return errNotToday }),
				client.RunnerFunc(func(context.Context) error { tb.Fatal("no"); return nil }))
		})
		require.Contains(t, failure, "runner 1 of 2 (client.RunnerFunc) ended: not today")
		require.Contains(t, failure, "runner 2 of 2 (client.RunnerFunc) ended: it ended its goroutine with runtime.Goexit")
	})
}

// TestListenWaitsForTenSeconds: what hangs fails the test, and does not report to it
// afterwards.
func TestListenWaitsForTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		r := attempt(t, func(tb testing.TB) {
			eventtest.Listen(tb, client.RunnerFunc(func(context.Context) error {
				<-release
				return errNotToday
			}))
		})
		require.Contains(t, r.failure, "runner 1 of 1 (client.RunnerFunc) still runs 10s after its context has ended")
		require.Equal(t, 10*time.Second, time.Since(began))
		close(release)
		synctest.Wait()
		require.NotContains(t, r.failure, "not today")
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.Contains(t, try(t, func(tb testing.TB) { eventtest.Listen(tb, neverReady{}) }),
			"runner 1 of 1 (eventtest_test.neverReady) does not listen after 10s; is its client connected?")
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// neverReady is a listener whose server is away.
type neverReady struct{}

func (neverReady) Ready() <-chan struct{} { return nil }
func (neverReady) Listen(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func TestMisuseOfListen(t *testing.T) {
	t.Parallel()
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.Listen(tb) }), "there is nothing to run; give it at least one listener")
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.Listen(tb, neverReady{}, nil) }), "runner 2 of 2 is nil")
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.Listen(tb, client.RunnerFunc(nil)) }), "runner 1 of 1 is nil")
	require.Contains(t, try(t, func(tb testing.TB) {
		var l *listener.Listener[expiration]
		eventtest.Listen(tb, l)
	}), "invalid listener: nil; make one with New")
	require.Contains(t, try(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		l := listenerOf(tb, b.Client(), refuse)
		eventtest.Listen(tb, l)
		eventtest.Listen(tb, l)
	}), "already listening")
}
