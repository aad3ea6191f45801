package eventtest_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

var errNotToday = errors.New("not today")

// both runs a test in a synctest bubble and outside of one.
func both(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Run("bubble", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, f)
	})
	t.Run("real time", func(t *testing.T) {
		t.Parallel()
		f(t)
	})
}

func listenerOf[T events.Event](t testing.TB, c *client.Client, h listener.Handler[T], opts ...listener.Option) *listener.Listener[T] {
	t.Helper()
	l, err := listener.New(c, "g", h, opts...)
	require.NoError(t, err)
	return l
}

func TestDeliverAcknowledged(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		before := time.Now()
		var got []listener.Delivery
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, d listener.Delivery) error {
			require.Equal(t, expiration{OrderID: "o1"}, e)
			require.ErrorIs(t, d.Ack(), listener.ErrNotManual)
			got = append(got, d)
			return nil
		})
		for range 2 {
			outcome := eventtest.Deliver(t, b, l, expiration{OrderID: "o1"})
			require.Equal(t, eventtest.Outcome{Kind: eventtest.Acknowledged}, outcome)
			require.Equal(t, "acknowledged", outcome.String())
		}
		require.Len(t, got, 2)
		for n, d := range got {
			require.Equal(t, events.ExpirationComplete{}.Subject(), d.Subject)
			require.Equal(t, uint64(n+1), d.Sequence, "two events, not one twice")
			require.Equal(t, 1, d.Attempt)
			require.Equal(t, 1, d.Deliveries)
			require.False(t, d.Redelivered)
			require.False(t, d.Timestamp.Before(before))
		}
		require.Empty(t, eventtest.Published[expiration](b), "nobody published them")
	})
}

func TestDeliverRetried(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, d listener.Delivery) error {
			switch e.OrderID {
			case "fails":
				return errNotToday
			case "panics":
				panic("boom")
			case "exits":
				runtime.Goexit()
			}
			return nil
		}, listener.AckWait(7*time.Second))
		outcome := eventtest.Deliver(t, b, l, expiration{OrderID: "fails"})
		require.Equal(t, eventtest.Outcome{Kind: eventtest.Retried, RetryIn: 100 * time.Millisecond, Err: errNotToday}, outcome)
		require.Equal(t, "retried in 100ms: not today", outcome.String())

		outcome = eventtest.Deliver(t, b, l, expiration{OrderID: "panics"})
		require.Equal(t, eventtest.Retried, outcome.Kind)
		require.Equal(t, 100*time.Millisecond, outcome.RetryIn)
		require.EqualError(t, outcome.Err, "handler panicked: boom")

		outcome = eventtest.Deliver(t, b, l, expiration{OrderID: "exits"}) // as the FailNow of a test does
		require.Equal(t, eventtest.Retried, outcome.Kind)
		require.ErrorContains(t, outcome.Err, "runtime.Goexit")

		require.Equal(t, eventtest.Acknowledged, eventtest.Deliver(t, b, l, expiration{}).Kind, "the others don't suffer")
	})
}

// TestDeliverShowsEveryOutcome: when a retry is asked for, and why an event is given up.
func TestDeliverShowsEveryOutcome(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		for _, kind := range [][]eventtest.Option{nil, {eventtest.JetStream()}} {
			b := eventtest.New(t, kind...)
			handler := func(_ context.Context, e expiration, _ listener.Delivery) error {
				switch e.OrderID {
				case "later":
					return listener.RetryAfter(time.Minute, errNotToday)
				case "never":
					return listener.Reject(errNotToday)
				}
				return errNotToday
			}
			l := listenerOf(t, b.Client(), handler)
			require.Equal(t, "retried in 1m0s: not today", eventtest.Deliver(t, b, l, expiration{OrderID: "later"}).String())
			require.Equal(t, "dead-lettered as rejected: not today", eventtest.Deliver(t, b, l, expiration{OrderID: "never"}).String())
			once := listenerOf(t, b.Client(), handler, listener.MaxAttempts(1))
			require.Equal(t, "dead-lettered as exhausted: not today", eventtest.Deliver(t, b, once, expiration{OrderID: "fails"}).String())
		}
	})
}

func TestDeliverToAHandlerThatTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		l := listenerOf(t, b.Client(), func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		}, listener.HandlerTimeout(3*time.Second))
		began := time.Now()
		outcome := eventtest.Deliver(t, b, l, expiration{})
		require.Equal(t, eventtest.Retried, outcome.Kind)
		require.ErrorIs(t, outcome.Err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

// TestDeliverTooLate: an event whose ack wait has passed before a handler is free is skipped,
// as in production.
func TestDeliverTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, _ listener.Delivery) error {
			if e.OrderID == "late" {
				t.Error("the late event was handled")
			}
			time.Sleep(6 * time.Second)
			return nil
		})
		slow := make(chan eventtest.Outcome)
		go func() { slow <- eventtest.Deliver(t, b, l, expiration{OrderID: "slow"}) }()
		synctest.Wait()
		late := eventtest.Deliver(t, b, l, expiration{OrderID: "late"})
		require.Equal(t, eventtest.Retried, late.Kind)
		require.ErrorContains(t, late.Err, "its ack wait expired")
		require.Equal(t, eventtest.Acknowledged, (<-slow).Kind)
	})
}

func TestDeliverWhatCanNotBeHandled(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		never := func(context.Context, expiration, listener.Delivery) error {
			t.Error("the handler was called")
			return nil
		}
		for _, l := range []*listener.Listener[expiration]{
			listenerOf(t, b.Client(), never, listener.Validate()),
			listenerOf(t, b.Client(), never, listener.Validate(), listener.Concurrency(2), listener.OrderingKey(func(e expiration) string { return e.OrderID })),
		} {
			outcome := eventtest.DeliverPayload(t, b, l, []byte(`{"orderId":1}`))
			require.Equal(t, eventtest.DeadLettered, outcome.Kind)
			require.Equal(t, events.DeadLetterUndecodable, outcome.Reason)
			require.ErrorIs(t, outcome.Err, listener.ErrUndecodable)

			outcome = eventtest.Deliver(t, b, l, expiration{})
			require.Equal(t, eventtest.DeadLettered, outcome.Kind)
			require.Equal(t, events.DeadLetterInvalid, outcome.Reason)
			require.ErrorIs(t, outcome.Err, listener.ErrInvalidEvent)
		}
	})
}

func TestDeliverPayload(t *testing.T) {
	t.Parallel()
	b := eventtest.New(t)
	var got expiration
	l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, _ listener.Delivery) error {
		got = e
		return nil
	})
	outcome := eventtest.DeliverPayload(t, b, l, []byte(`{"orderId": "o1", "addedByNode": true}`))
	require.Equal(t, eventtest.Acknowledged, outcome.Kind)
	require.Equal(t, expiration{OrderID: "o1"}, got)
}

func TestWhatAHandlerPublishes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		p, err := publisher.New[events.OrderCancelled](b.Client())
		require.NoError(t, err)
		l := listenerOf(t, b.Client(), func(ctx context.Context, e expiration, _ listener.Delivery) error {
			return p.Publish(ctx, events.OrderCancelled{ID: e.OrderID, Ticket: events.CancelledTicket{ID: "t1"}})
		})
		require.Equal(t, eventtest.Acknowledged, eventtest.Deliver(t, b, l, expiration{OrderID: "o1"}).Kind)
		require.Equal(t, "o1", eventtest.RequirePublished[events.OrderCancelled](t, b, nil).ID)

		b.Broker().RefuseNext()
		outcome := eventtest.Deliver(t, b, l, expiration{OrderID: "o2"})
		require.Equal(t, eventtest.Retried, outcome.Kind)
		require.ErrorIs(t, outcome.Err, publisher.ErrNotStored)
		require.Len(t, eventtest.Published[events.OrderCancelled](b), 1)
	})
}

// TestConnectionLostWhileAnEventIsHandled: its acknowledgement can't be sent.
func TestConnectionLostWhileAnEventIsHandled(t *testing.T) {
	t.Parallel()
	b := eventtest.New(t)
	l := listenerOf(t, b.Client(), func(context.Context, expiration, listener.Delivery) error {
		b.Broker().EndConnections()
		return nil
	})
	outcome := eventtest.Deliver(t, b, l, expiration{OrderID: "o1"})
	require.Equal(t, eventtest.Retried, outcome.Kind)
	require.ErrorIs(t, outcome.Err, listener.ErrSubscriptionClosed)
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.Deliver(tb, b, l, expiration{}) }), "connection lost")
}

func TestManualAck(t *testing.T) {
	t.Parallel()
	handler := func(_ context.Context, e expiration, d listener.Delivery) error {
		switch e.OrderID {
		case "ack":
			return d.Ack()
		case "ack, then fails":
			return errors.Join(d.Ack(), errNotToday)
		case "nak":
			return d.Nak(errNotToday)
		case "fails":
			return errNotToday
		}
		return nil
	}
	for _, tc := range []struct {
		order    string
		expected eventtest.Outcome
	}{
		{"ack", eventtest.Outcome{Kind: eventtest.Acknowledged}},
		{"nak", eventtest.Outcome{Kind: eventtest.Retried, RetryIn: 100 * time.Millisecond, Err: errNotToday}},
		{"fails", eventtest.Outcome{Kind: eventtest.Retried, RetryIn: 100 * time.Millisecond, Err: errNotToday}},
		{"left open", eventtest.Outcome{Kind: eventtest.Retried, RetryIn: 5 * time.Second}},
	} {
		t.Run(tc.order, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T) {
				b := eventtest.New(t)
				began := time.Now()
				l := listenerOf(t, b.Client(), handler, listener.ManualAck())
				require.Equal(t, tc.expected, eventtest.Deliver(t, b, l, expiration{OrderID: tc.order}))
				require.Less(t, time.Since(began), 5*time.Second, "nobody waited for the ack wait")
			})
		})
	}
	t.Run("ack, then fails", func(t *testing.T) {
		t.Parallel()
		b := eventtest.New(t)
		outcome := eventtest.Deliver(t, b, listenerOf(t, b.Client(), handler, listener.ManualAck()), expiration{OrderID: "ack, then fails"})
		require.Equal(t, eventtest.Acknowledged, outcome.Kind)
		require.ErrorIs(t, outcome.Err, errNotToday)
	})
	t.Run("nak where the broker can", func(t *testing.T) {
		t.Parallel()
		b := eventtest.New(t, eventtest.JetStream())
		l := listenerOf(t, b.Client(), handler, listener.ManualAck())
		require.Equal(t, eventtest.Outcome{Kind: eventtest.Retried, RetryIn: 100 * time.Millisecond, Err: errNotToday}, eventtest.Deliver(t, b, l, expiration{OrderID: "nak"}))
	})
}

// TestManualAckOfABatch: events may be left open and settled together later.
func TestManualAckOfABatch(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		var batch []listener.Delivery
		l := listenerOf(t, b.Client(), func(_ context.Context, _ expiration, d listener.Delivery) error {
			batch = append(batch, d)
			return nil
		}, listener.ManualAck())
		for range 3 {
			require.Equal(t, eventtest.Retried, eventtest.Deliver(t, b, l, expiration{OrderID: "o1"}).Kind)
		}
		require.Len(t, batch, 3)
		for _, d := range batch {
			require.NoError(t, d.Ack())
			require.ErrorIs(t, d.Ack(), listener.ErrSettled)
		}
		require.Equal(t, eventtest.Retried, eventtest.Deliver(t, b, l, expiration{OrderID: "o2"}).Kind)
		require.NoError(t, batch[3].Ack())
	})
}

// TestDeliverLeavesTheListenerToTheTest: between two deliveries, and after them, it
// can listen as always.
func TestDeliverLeavesTheListenerToTheTest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		handled := make(chan string, 10)
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, _ listener.Delivery) error {
			handled <- e.OrderID
			return nil
		})
		publish(t, b, expiration{OrderID: "published"})
		eventtest.Deliver(t, b, l, expiration{OrderID: "delivered"})
		require.Equal(t, "delivered", <-handled, "what is published goes to those who listen")

		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Listen(ctx) }()
		require.Equal(t, "published", <-handled)
		require.Equal(t, "eventtest: deliver expiration:complete: the listener listens already, and Deliver makes it listen by itself: "+
			"leave Listen out of this test, or publish the event instead",
			try(t, func(tb testing.TB) { eventtest.Deliver(tb, b, l, expiration{}) }))
		stop()
		require.NoError(t, <-ended)
		eventtest.Deliver(t, b, l, expiration{OrderID: "delivered again"})
		require.Equal(t, "delivered again", <-handled)
	})
}

// TestDeliverBesideAListener: what becomes of an event that the broker delivers to another
// member of the group, with the same sequence and at the same moment, is not taken for the
// outcome of Deliver.
func TestDeliverBesideAListener(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		handled := make(chan string, 1)
		listening := listenerOf(t, b.Client(), func(_ context.Context, e expiration, _ listener.Delivery) error {
			handled <- e.OrderID
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- listening.Listen(ctx) }()
		<-listening.Ready()
		outcome := make(chan eventtest.Outcome, 1)
		failing := listenerOf(t, b.Client(), func(context.Context, expiration, listener.Delivery) error {
			time.Sleep(time.Second)
			return errNotToday
		})
		go func() { outcome <- eventtest.Deliver(t, b, failing, expiration{OrderID: "delivered"}) }()
		synctest.Wait()
		publish(t, b, expiration{OrderID: "published"})
		require.Equal(t, "published", <-handled)
		require.Equal(t, "retried in 100ms: not today", (<-outcome).String())
		stop()
		require.NoError(t, <-ended)
	})
}

// TestHandlerThatListens: its context is not taken for that of a Deliver.
func TestHandlerThatListens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		publish(t, b, events.TicketCreated{ID: "t1", UserID: "u1"})
		l := listenerOf(t, b.Client(), func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			ctx, stop := context.WithCancel(ctx)
			return listenerOf(t, b.Client(), func(context.Context, events.TicketCreated, listener.Delivery) error {
				stop()
				return nil
			}).Listen(ctx)
		})
		require.Equal(t, eventtest.Acknowledged, eventtest.Deliver(t, b, l, expiration{OrderID: "o1"}).Kind)
	})
}

func TestDeliverFromManyGoroutines(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		var mu sync.Mutex
		runs := make(map[uint64]int) // by sequence
		l := listenerOf(t, b.Client(), func(_ context.Context, _ expiration, d listener.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			runs[d.Sequence]++
			return nil
		}, listener.Concurrency(4))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if o := eventtest.Deliver(t, b, l, expiration{OrderID: "o1"}); o.Kind != eventtest.Acknowledged {
					t.Error(o)
				}
			})
			wg.Go(func() {
				eventtest.RequireIdempotent(t, b, l, expiration{OrderID: "o2"}, func() any { return nil })
			})
		}
		wg.Wait()
		require.Len(t, runs, 100)
		var twice int
		for _, n := range runs {
			twice += n - 1
		}
		require.Equal(t, 50, twice, "no second delivery is kept from the handler")
	})
}

// TestDeliverWaitsForAListenerThatDrains after another call had left something open.
func TestDeliverWaitsForAListenerThatDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, d listener.Delivery) error {
			if e.OrderID == "slow" {
				time.AfterFunc(4*time.Second, func() { _ = d.Ack() })
				return nil
			}
			return d.Ack()
		}, listener.ManualAck())
		idempotent := make(chan string, 1)
		go func() {
			idempotent <- try(t, func(tb testing.TB) {
				eventtest.RequireIdempotent(tb, b, l, expiration{OrderID: "slow"}, func() any { return nil })
			})
		}()
		synctest.Wait()
		began := time.Now()
		require.Equal(t, eventtest.Acknowledged, eventtest.Deliver(t, b, l, expiration{OrderID: "quick"}).Kind)
		require.GreaterOrEqual(t, time.Since(began), 4*time.Second)
		require.Empty(t, <-idempotent)
	})
}

// TestRequireIdempotentBesideAnEventLeftOpen: the listener ends between the two
// deliveries, once the other event's time is over.
func TestRequireIdempotentBesideAnEventLeftOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		attempts := make(chan int, 2)
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, d listener.Delivery) error {
			if e.OrderID == "open" {
				time.Sleep(time.Second)
				return nil
			}
			attempts <- d.Attempt
			return d.Ack()
		}, listener.ManualAck(), listener.Concurrency(2))
		open := make(chan eventtest.Outcome, 1)
		go func() { open <- eventtest.Deliver(t, b, l, expiration{OrderID: "open"}) }()
		synctest.Wait()
		eventtest.RequireIdempotent(t, b, l, expiration{OrderID: "o1"}, func() any { return nil })
		require.Equal(t, 1, <-attempts)
		require.Equal(t, 1, <-attempts, "each delivery is to a Listen of its own")
		require.Equal(t, eventtest.Retried, (<-open).Kind)
	})
}

func TestMisuseOfDeliver(t *testing.T) {
	t.Parallel()
	ok := func(context.Context, expiration, listener.Delivery) error { return nil }
	b := eventtest.New(t)
	failure := func(b *eventtest.Bus, l *listener.Listener[expiration]) string {
		return try(t, func(tb testing.TB) { eventtest.Deliver(tb, b, l, expiration{}) })
	}
	require.Equal(t, "eventtest.Deliver: the Bus is nil; make it with eventtest.New", failure(nil, listenerOf(t, b.Client(), ok)))
	require.Equal(t, "eventtest.Deliver: the listener is nil; make it with listener.New from the bus's Client()", failure(b, nil))
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.DeliverPayload[expiration](tb, b, nil, nil) }), "eventtest.DeliverPayload: the listener is nil")

	const foreign = "eventtest: deliver expiration:complete: the listener was made from another client: make it from this bus's Client()"
	require.Equal(t, foreign, failure(b, listenerOf(t, eventtest.New(t).Client(), ok)))
	other, err := client.Build(t.Context(), "c", "me", "memory:", client.Transport(memory.New().Dialer()))
	require.NoError(t, err)
	require.Equal(t, foreign, failure(b, listenerOf(t, other, ok)))
	require.NoError(t, other.Close(t.Context()))

	l := listenerOf(t, b.Client(), ok)
	require.NoError(t, b.Client().Close(t.Context()))
	require.Equal(t, "eventtest: deliver expiration:complete: the bus's client is closed: deliver before that", failure(b, l))

	require.Contains(t, try(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		l := listenerOf(tb, b.Client(), func(context.Context, events.OrderCreated, listener.Delivery) error { return nil })
		eventtest.Deliver(tb, b, l, events.OrderCreated{ExpiresAt: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)})
	}), "events.OrderCreated can't be encoded")
}

func TestOutcomesAsText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "dead-lettered as rejected: not today",
		eventtest.Outcome{Kind: eventtest.DeadLettered, Reason: events.DeadLetterRejected, Err: errNotToday}.String())
	require.Equal(t, "Kind(0)", eventtest.Outcome{}.String())
	require.Equal(t, "retried", eventtest.Retried.String())
}
