package eventtest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// TestListenersListenAsInProduction: publishing, delivery, redelivery and the drain
// are those of the in-process broker.
func TestListenersListenAsInProduction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		attempts := make(chan int, 10)
		began := time.Now()
		l, err := listener.New(b.Client(), "g", func(_ context.Context, _ expiration, d listener.Delivery) error {
			attempts <- d.Attempt
			if d.Attempt == 1 {
				return context.DeadlineExceeded
			}
			return nil
		})
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(t.Context()) }()
		publish(t, b, expiration{OrderID: "o1"})
		require.Equal(t, 1, <-attempts)
		require.Equal(t, 2, <-attempts)
		require.InDelta(t, 75*time.Millisecond, time.Since(began), float64(25*time.Millisecond), "after the backoff")
		t.Cleanup(func() { require.NoError(t, <-ended) })
	})
}

func TestEndOfTheTestClosesTheClient(t *testing.T) {
	t.Parallel()
	var c *client.Client
	var listening chan error
	r := attempt(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		c = b.Client()
		l, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil })
		require.NoError(tb, err)
		listening = make(chan error, 1)
		go func() { listening <- l.Listen(context.Background()) }()
		<-l.Ready()
	})
	require.Empty(t, r.failure)
	require.ErrorIs(t, c.Err(), client.ErrClosed)
	require.NoError(t, <-listening, "what listens drains")
	require.Contains(t, r.log.String(), `msg=listening subject=expiration:complete group=g`)
	require.NotContains(t, r.log.String(), "time=")
	require.Regexp(t, `^level=INFO msg=connected .*\n(level=.*\n)*$`, r.log.String(), "each line as the handler writes it")

	// The recorder panics on what is logged now, as package testing does.
	_, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil })
	require.NoError(t, err)
	access.Session(c).Log.Error("after the end")
}

func TestHandlerThatOutlivesTheTestFailsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release, began := make(chan struct{}), make(chan struct{})
		ended := make(chan error, 1)
		failure := try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			l, err := listener.New(b.Client(), "g", func(context.Context, expiration, listener.Delivery) error {
				close(began)
				<-release
				return nil
			})
			require.NoError(tb, err)
			go func() { ended <- l.Listen(context.Background()) }()
			publish(t, b, expiration{OrderID: "o1"})
			<-began
		})
		require.Contains(t, failure, "1 handler still running")
		require.Contains(t, failure, "see to it that handlers return when their context ends")
		close(release)
		require.ErrorIs(t, <-ended, listener.ErrUnfinished)
	})
}

// TestEndOfTheTestForgetsWhatIsOpen: what ManualAck left open is not waited for, but
// a handler that runs beside it is.
func TestEndOfTheTestForgetsWhatIsOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leaveOpen := func(tb testing.TB, b *eventtest.Bus) {
			tb.Helper()
			l := listenerOf(tb, b.Client(), func(context.Context, expiration, listener.Delivery) error { return nil }, listener.ManualAck())
			eventtest.Deliver(tb, b, l, expiration{OrderID: "open"})
		}
		began := time.Now()
		require.Empty(t, try(t, func(tb testing.TB) { leaveOpen(tb, eventtest.New(tb)) }))
		require.Zero(t, time.Since(began))

		finished := make(chan bool, 1)
		ended := make(chan error, 1)
		require.Empty(t, try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			leaveOpen(tb, b)
			l := listenerOf(tb, b.Client(), func(ctx context.Context, _ expiration, _ listener.Delivery) error {
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
					finished <- true
				}
				return nil
			})
			go func() { ended <- l.Listen(context.Background()) }()
			publish(t, b, expiration{OrderID: "running"})
			synctest.Wait()
		}))
		require.True(t, <-finished)
		require.NoError(t, <-ended)
	})
}

func TestClientClosedByTheTest(t *testing.T) {
	t.Parallel()
	require.Empty(t, try(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		publish(t, b, expiration{OrderID: "o1"})
		require.NoError(tb, b.Client().Close(t.Context()))
		eventtest.RequirePublished(tb, b, is("o1"))
	}))
	release, ended := make(chan struct{}), make(chan error, 1)
	require.Empty(t, try(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		began := make(chan struct{})
		l := listenerOf(tb, b.Client(), func(context.Context, expiration, listener.Delivery) error {
			close(began)
			<-release
			return nil
		})
		go func() { ended <- l.Listen(context.Background()) }()
		publish(t, b, expiration{OrderID: "o1"})
		<-began
		over, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(tb, b.Client().Close(over), listener.ErrUnfinished, "the test has that error already")
	}))
	close(release)
	require.ErrorIs(t, <-ended, listener.ErrUnfinished)
	require.Empty(t, try(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		b.Broker().EndConnections()
		require.ErrorIs(t, b.Client().Err(), client.ErrConnectionLost)
	}))
}

func TestBrokersByOption(t *testing.T) {
	t.Parallel()
	newListener := func(b *eventtest.Bus) error {
		_, err := listener.New(b.Client(), "g", func(context.Context, expiration, listener.Delivery) error { return nil },
			listener.AckWait(1500*time.Millisecond))
		return err
	}
	require.ErrorIs(t, newListener(eventtest.New(t)), client.ErrInvalid)
	require.ErrorIs(t, newListener(eventtest.New(t, eventtest.JetStream(), eventtest.NATSStreaming())), client.ErrInvalid)
	require.NoError(t, newListener(eventtest.New(t, eventtest.JetStream())))
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.New(tb, nil) }), "eventtest: invalid option: nil (number 1 of 1); leave it out")
}

func TestBusesShareNothing(t *testing.T) {
	t.Parallel()
	a, b := eventtest.New(t), eventtest.New(t)
	publish(t, a, expiration{OrderID: "o1"})
	eventtest.RequireNotPublished[expiration](t, b, nil)
	_, err := publisher.New[expiration](b.Client())
	require.NoError(t, err)
}
