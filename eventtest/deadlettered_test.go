package eventtest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

func refuse(_ context.Context, e expiration, _ listener.Delivery) error {
	if e.OrderID == "good" {
		return nil
	}
	return listener.Reject(errNotToday)
}

func exhaust(context.Context, expiration, listener.Delivery) error { return errNotToday }

func TestRequireDeadLettered(t *testing.T) {
	t.Parallel()
	for _, kind := range []eventtest.Option{eventtest.NATSStreaming(), eventtest.JetStream()} {
		both(t, func(t *testing.T) {
			b := eventtest.New(t, kind)
			eventtest.Listen(t, listenerOf(t, b.Client(), refuse))
			require.Empty(t, eventtest.DeadLetters[expiration](b))
			require.NotNil(t, eventtest.DeadLetters[expiration](b))
			publish(t, b, expiration{OrderID: "good"}, expiration{OrderID: "o1"}, expiration{OrderID: "o2"})

			dead := eventtest.RequireDeadLettered[expiration](t, b, func(d events.DeadLetter) bool { return d.Sequence == 3 })
			require.Equal(t, events.DeadLetterRejected, dead.Reason)
			require.Equal(t, "g", dead.Group)
			require.Equal(t, "not today", dead.Error)
			require.Equal(t, 1, dead.Attempts)
			require.Equal(t, subjects.ExpirationComplete, dead.Original)
			require.JSONEq(t, `{"orderId":"o2"}`, string(dead.Data))

			eventtest.RequireDeadLettered[expiration](t, b, func(d events.DeadLetter) bool { return d.Sequence == 2 })
			require.EqualValues(t, 2, eventtest.RequireDeadLettered[expiration](t, b, nil).Sequence, "the first")
			require.Equal(t, dead, eventtest.DeadLetters[expiration](b)[1])
			eventtest.RequireNotDeadLettered[expiration](t, b, func(d events.DeadLetter) bool { return d.Sequence == 1 })
			eventtest.RequireNotDeadLettered[events.OrderCreated](t, b, nil)
		})
	}
}

// TestDeadLettersOfDeliver: what Deliver delivered counts, of any group and of none.
func TestDeadLettersOfDeliver(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		never := func(context.Context, expiration, listener.Delivery) error { return nil }
		eventtest.DeliverPayload(t, b, listenerOf(t, b.Client(), never), []byte(`{"orderId":7}`))
		dead := eventtest.RequireDeadLettered[expiration](t, b, nil)
		require.Equal(t, events.DeadLetterUndecodable, dead.Reason)
		require.Equal(t, `{"orderId":7}`, string(dead.Data))

		alone, err := listener.New(b.Client(), "", exhaust, listener.MaxAttempts(1))
		require.NoError(t, err)
		eventtest.Deliver(t, b, alone, expiration{OrderID: "o1"})
		dead = eventtest.RequireDeadLettered[expiration](t, b, func(d events.DeadLetter) bool { return d.Group != "g" })
		require.Equal(t, events.DeadLetterExhausted, dead.Reason)
		require.Equal(t, "no-group", dead.Group)
	})
}

// TestRequireDeadLetteredWaitsForAttempts: the 20 attempts of a listener without options take
// longer than the wait by far.
func TestRequireDeadLetteredWaitsForAttempts(t *testing.T) {
	t.Parallel()
	for _, kind := range []eventtest.Option{eventtest.NATSStreaming(), eventtest.JetStream()} {
		synctest.Test(t, func(t *testing.T) {
			b := eventtest.New(t, kind)
			eventtest.Listen(t, listenerOf(t, b.Client(), exhaust))
			began := time.Now()
			publish(t, b, expiration{OrderID: "o1"})
			require.Equal(t, 20, eventtest.RequireDeadLettered[expiration](t, b, nil).Attempts)
			require.Greater(t, time.Since(began), time.Minute)
		})
	}
	t.Run("in real time", func(t *testing.T) {
		t.Parallel()
		b := eventtest.New(t, eventtest.Wait(time.Minute))
		eventtest.Listen(t, listenerOf(t, b.Client(), exhaust, listener.MaxAttempts(2), listener.Backoff(time.Millisecond, time.Millisecond)))
		publish(t, b, expiration{OrderID: "o1"})
		require.Equal(t, 2, eventtest.RequireDeadLettered[expiration](t, b, nil).Attempts)
	})
}

// TestRequireDeadLetteredEnds though an event is tried for ever, and at once if it is not to
// wait.
func TestRequireDeadLetteredEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		failure := try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			eventtest.Listen(tb, listenerOf(tb, b.Client(), exhaust, listener.NoDeadLetters()))
			publish(tb, b, expiration{OrderID: "o1"})
			eventtest.RequireDeadLettered[expiration](tb, b, nil)
		})
		require.Contains(t, failure, "no expiration:complete was dead-lettered, waiting 4m5")
		require.Contains(t, failure, "number 1 is still tried by g: attempt ")
		require.Less(t, time.Since(began), 5*time.Minute+time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t, eventtest.Wait(0))
		eventtest.Listen(t, listenerOf(t, b.Client(), exhaust))
		publish(t, b, expiration{OrderID: "o1"})
		synctest.Wait()
		began := time.Now()
		require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequireDeadLettered[expiration](tb, b, nil) }), "waiting 0s")
		require.Zero(t, time.Since(began))
	})
}

func TestRequireDeadLetteredPrintsWhatWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failure := try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			eventtest.Listen(tb, listenerOf(tb, b.Client(), func(_ context.Context, e expiration, _ listener.Delivery) error {
				switch e.OrderID {
				case "later":
					return listener.RetryAfter(200*time.Second, errNotToday)
				case "not yet":
					return listener.Defer(time.Hour)
				default:
					return listener.Reject(errNotToday)
				}
			}))
			l, err := listener.New(b.Client(), "orders", func(context.Context, events.TicketCreated, listener.Delivery) error { return nil })
			require.NoError(tb, err)
			eventtest.DeliverPayload(tb, b, l, []byte("\xff"))
			publish(tb, b, expiration{OrderID: "o1"}, expiration{OrderID: "later"}, expiration{OrderID: "not yet"})
			// What is no dead letter does not count.
			raw, err := publisher.NewRaw(b.Client())
			require.NoError(tb, err)
			require.NoError(tb, raw.Publish(tb.Context(), publisher.Message{Subject: "dead.g.expiration:complete", Data: []byte(`{}`)}))
			eventtest.RequireDeadLettered[expiration](tb, b, func(d events.DeadLetter) bool { return d.Reason == events.DeadLetterExhausted })
		})
		require.Equal(t, `eventtest: no expiration:complete was dead-lettered that matches, waiting 3m22s; dead-lettered were 1 of expiration:complete
	number 1, given up by g as rejected after 1 attempt (not today): {"orderId":"o1"}
of other subjects: 1 of ticket:created
number 2 is still tried by g: attempt 2 failed, the next attempt follows after 3m20s: not today
number 3 is still tried by g: it can't be handled yet, the next attempt follows after 1h0m0s: deferred for 1h0m0s
an event is dead-lettered after its last attempt: give the listener fewer (MaxAttempts) or shorter waits (Backoff, VersionGapTimeout), or wait longer (option Wait)`, failure)
	})
	require.Equal(t, `eventtest: no expiration:complete was dead-lettered, waiting 0s; dead-lettered were 0 of expiration:complete
of other subjects: nothing`, try(t, func(tb testing.TB) {
		eventtest.RequireDeadLettered[expiration](tb, eventtest.New(tb, eventtest.Wait(0)), nil)
	}))
}

func TestRequireNotDeadLettered(t *testing.T) {
	t.Parallel()
	require.Equal(t, `eventtest: a expiration:complete was dead-lettered that must not be: number 1, given up by g as rejected after 1 attempt (not today): {"orderId":"o1"}`,
		try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			eventtest.Deliver(tb, b, listenerOf(tb, b.Client(), refuse), expiration{OrderID: "o1"})
			eventtest.RequireNotDeadLettered[expiration](tb, b, nil)
		}))
}

func TestMisuseOfDeadLettered(t *testing.T) {
	t.Parallel()
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequireDeadLettered[expiration](tb, nil, nil) }),
		"RequireDeadLettered: the Bus is nil; make it with eventtest.New")
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequireNotDeadLettered[expiration](tb, nil, nil) }),
		"RequireNotDeadLettered: the Bus is nil; make it with eventtest.New")
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequireDeadLettered[expiration](tb, &eventtest.Bus{}, nil) }),
		"RequireDeadLettered: the Bus is nil; make it with eventtest.New", "the zero value is none, too")
	require.PanicsWithValue(t, "eventtest.DeadLetters: the Bus is nil; make it with eventtest.New", func() { eventtest.DeadLetters[expiration](nil) })
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequireDeadLettered[*expiration](tb, eventtest.New(tb), nil) }),
		"it is a pointer; use events.ExpirationComplete")
}
