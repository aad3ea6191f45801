package eventtest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// ledger counts what happened to an order.
type ledger struct {
	Count map[string]int
}

func (l *ledger) add(_ context.Context, e expiration, _ listener.Delivery) error {
	l.Count[e.OrderID]++
	return nil
}

func (l *ledger) set(_ context.Context, e expiration, _ listener.Delivery) error {
	l.Count[e.OrderID] = 1
	return nil
}

func newLedger() *ledger { return &ledger{Count: make(map[string]int)} }

func TestRequireIdempotent(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		books := newLedger()
		l := listenerOf(t, b.Client(), books.set)
		eventtest.RequireIdempotent(t, b, l, expiration{OrderID: "o1"}, func() any { return books })

		require.Equal(t, `eventtest: expiration:complete delivered twice leaves another state than once; its handler has to recognise `+
			`an event that it has handled ({"orderId":"o1"})
after once:  {
  "Count": {
    "o1": 1
  }
}
after twice: {
  "Count": {
    "o1": 2
  }
}`, try(t, func(tb testing.TB) {
			b := eventtest.New(tb)
			books := newLedger()
			eventtest.RequireIdempotent(tb, b, listenerOf(tb, b.Client(), books.add), expiration{OrderID: "o1"}, func() any { return books })
		}))
	})
}

// TestSecondDeliveryIsARedelivery, and reaches the handler.
func TestSecondDeliveryIsARedelivery(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T) {
		b := eventtest.New(t)
		var got []listener.Delivery
		l := listenerOf(t, b.Client(), func(_ context.Context, _ expiration, d listener.Delivery) error {
			got = append(got, d)
			return nil
		})
		eventtest.RequireIdempotent(t, b, l, expiration{OrderID: "o1"}, func() any { return nil })
		require.Len(t, got, 2)
		first, second := got[0], got[1]
		require.Equal(t, 1, first.Attempt)
		require.False(t, first.Redelivered)
		require.Equal(t, 1, second.Attempt)
		require.Equal(t, 2, second.Deliveries)
		require.True(t, second.Redelivered)
		require.Equal(t, first.Sequence, second.Sequence)
		require.Equal(t, first.Timestamp, second.Timestamp)
	})
}

func TestIdempotenceOfWhatIsPublished(t *testing.T) {
	t.Parallel()
	failure := try(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		p, err := publisher.New[expiration](b.Client())
		require.NoError(tb, err)
		l := listenerOf(tb, b.Client(), func(ctx context.Context, e expiration, _ listener.Delivery) error { return p.Publish(ctx, e) })
		eventtest.RequireIdempotent(tb, b, l, expiration{OrderID: "o1"}, func() any {
			return map[string]any{"published": eventtest.Published[expiration](b)}
		})
	})
	require.Contains(t, failure, "leaves another state than once")
}

func TestRequireIdempotentWaitsForManualAck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		l := listenerOf(t, b.Client(), func(_ context.Context, e expiration, d listener.Delivery) error {
			if e.OrderID == "settled" {
				time.AfterFunc(4*time.Second, func() { _ = d.Ack() })
			}
			return nil
		}, listener.ManualAck())
		eventtest.RequireIdempotent(t, b, l, expiration{OrderID: "settled"}, func() any { return nil })
		require.Equal(t, "eventtest: expiration:complete: the first delivery was not acknowledged, so that there is nothing to compare: "+
			"retried in 100ms: the handler returned, and the event was not settled within an ack wait (5s)",
			try(t, func(tb testing.TB) {
				eventtest.RequireIdempotent(tb, b, l, expiration{OrderID: "left open"}, func() any { return nil })
			}))
	})
}

func TestRequireIdempotentNeedsTwoAcknowledgements(t *testing.T) {
	t.Parallel()
	b := eventtest.New(t)
	l := listenerOf(t, b.Client(), func(_ context.Context, _ expiration, d listener.Delivery) error {
		if d.Redelivered {
			return errNotToday
		}
		return nil
	})
	require.Equal(t, "eventtest: expiration:complete: the second delivery was not acknowledged, so that there is nothing to compare: retried in 100ms: not today",
		try(t, func(tb testing.TB) {
			eventtest.RequireIdempotent(tb, b, l, expiration{OrderID: "o1"}, func() any { return nil })
		}))
}

// TestStatesThatWouldHideADifference are refused.
func TestStatesThatWouldHideADifference(t *testing.T) {
	t.Parallel()
	type hidden struct{ n int }
	type Hidden struct{ n int }
	type Inner struct{ Orders []hidden }
	b := eventtest.New(t)
	l := listenerOf(t, b.Client(), newLedger().set)
	requireIdempotent := func(state func() any) string {
		return try(t, func(tb testing.TB) { eventtest.RequireIdempotent(tb, b, l, expiration{OrderID: "o1"}, state) })
	}
	for name, state := range map[string]any{
		"struct":            hidden{1},
		"pointer":           &hidden{1},
		"pointers in a map": map[string]*hidden{"o1": {1}},
		"in any":            map[string]any{"orders": []hidden{{1}}},
		"in an embedded":    struct{ Inner }{Inner{[]hidden{{1}}}},
		"in a field":        struct{ Rest any }{[1]hidden{}},
	} {
		require.Contains(t, requireIdempotent(func() any { return state }), "eventtest_test.hidden, of which JSON shows nothing", name)
	}
	require.Contains(t, requireIdempotent(func() any { return struct{ Hidden }{} }), "of which JSON shows nothing")
	for name, state := range map[string]any{
		"embedded, like a mutex": &struct {
			*Hidden
			Count int
		}{Hidden: &Hidden{1}},
		"nil":           nil,
		"number":        1,
		"set":           map[string]struct{}{"o1": {}},
		"writes itself": []time.Time{time.Now()},
		"by pointer":    map[string]*ledger{"a": newLedger(), "nil": nil},
	} {
		require.Empty(t, requireIdempotent(func() any { return state }), name)
	}
	require.Contains(t, requireIdempotent(func() any { return make(chan int) }), "can't be written as JSON")
	require.Contains(t, requireIdempotent(nil), "state is nil; give it a function")
	require.Contains(t, try(t, func(tb testing.TB) {
		eventtest.RequireIdempotent(tb, nil, l, expiration{}, func() any { return nil })
	}), "eventtest.RequireIdempotent: the Bus is nil")
}
