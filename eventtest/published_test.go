package eventtest_test

import (
	"bytes"
	"encoding/gob"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/publisher"
)

type expiration = events.ExpirationComplete

func publish[T events.Event](t testing.TB, b *eventtest.Bus, all ...T) {
	t.Helper()
	p, err := publisher.New[T](b.Client())
	require.NoError(t, err)
	for _, e := range all {
		require.NoError(t, p.Publish(t.Context(), e))
	}
}

func is(orderID string) func(expiration) bool {
	return func(e expiration) bool { return e.OrderID == orderID }
}

func TestPublished(t *testing.T) {
	t.Parallel()
	b := eventtest.New(t)
	require.Empty(t, eventtest.Published[expiration](b))
	eventtest.RequireNotPublished[expiration](t, b, nil)

	publish(t, b, expiration{OrderID: "o1"}, expiration{OrderID: "o2"})
	publish(t, b, events.TicketCreated{ID: "t1", UserID: "u1"})
	require.Equal(t, []expiration{{OrderID: "o1"}, {OrderID: "o2"}}, eventtest.Published[expiration](b))
	require.Equal(t, "o1", eventtest.RequirePublished[expiration](t, b, nil).OrderID)
	require.Equal(t, "o2", eventtest.RequirePublished(t, b, is("o2")).OrderID)
	eventtest.RequireNotPublished(t, b, is("o3"))
	eventtest.RequireNotPublished[events.OrderCancelled](t, b, nil)
}

func TestRequirePublishedPrintsWhatWas(t *testing.T) {
	t.Parallel()
	failure := try(t, func(tb testing.TB) {
		b := eventtest.New(tb, eventtest.Wait(0))
		publish(tb, b, expiration{OrderID: "o1"}, expiration{OrderID: "o2"})
		publish(tb, b, events.TicketCreated{ID: "t1", UserID: "u1"})
		eventtest.RequirePublished(tb, b, is("o3"))
	})
	require.Equal(t, `eventtest: no expiration:complete was published that matches, waiting 0s; published were 2 on expiration:complete
	{"orderId":"o1"}
	{"orderId":"o2"}
on other subjects: 1 on ticket:created`, failure)

	failure = try(t, func(tb testing.TB) {
		eventtest.RequirePublished[expiration](tb, eventtest.New(tb, eventtest.Wait(-time.Second)), nil)
	})
	require.Equal(t, `eventtest: no expiration:complete was published, waiting 0s; published were 0 on expiration:complete
on other subjects: nothing`, failure)
}

func TestRequireNotPublishedPrintsTheEvent(t *testing.T) {
	t.Parallel()
	require.Equal(t, `eventtest: a expiration:complete was published that must not be, number 2: {"orderId":"o2"}`, try(t, func(tb testing.TB) {
		b := eventtest.New(tb)
		publish(tb, b, expiration{OrderID: "o1"}, expiration{OrderID: "o2"})
		eventtest.RequireNotPublished(tb, b, is("o2"))
	}))
}

func TestRequirePublishedWaitsForGoroutines(t *testing.T) {
	t.Parallel()
	later := func(t testing.TB, b *eventtest.Bus, d time.Duration) {
		t.Helper()
		p, err := publisher.New[expiration](b.Client())
		require.NoError(t, err)
		time.AfterFunc(d, func() { _ = p.Publish(t.Context(), expiration{OrderID: "late"}) })
	}
	t.Run("in real time", func(t *testing.T) {
		t.Parallel()
		b := eventtest.New(t, eventtest.Wait(time.Minute))
		later(t, b, time.Millisecond)
		require.Equal(t, "late", eventtest.RequirePublished(t, b, is("late")).OrderID)
	})
	t.Run("in a bubble", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := eventtest.New(t)
			began := time.Now()
			later(t, b, 1999*time.Millisecond)
			eventtest.RequirePublished(t, b, is("late"))
			require.Equal(t, 1999*time.Millisecond, time.Since(began), "as long as it takes, and no longer")
		})
		synctest.Test(t, func(t *testing.T) {
			b := eventtest.New(t, eventtest.Wait(time.Hour))
			later(t, b, time.Hour+1)
			require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequirePublished(tb, b, is("late")) }), "waiting 1h0m0s")
			time.Sleep(time.Second)
			synctest.Wait()
			eventtest.RequirePublished(t, b, is("late"))
		})
	})
}

// TestFaults: what a Publish returned is not what decides, but what is stored.
func TestFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventtest.New(t)
		p, err := publisher.New[expiration](b.Client())
		require.NoError(t, err)
		b.Broker().RefuseNext()
		require.ErrorIs(t, p.Publish(t.Context(), expiration{OrderID: "refused"}), publisher.ErrNotStored)
		b.Broker().LoseAckOfNext()
		require.ErrorIs(t, p.Publish(t.Context(), expiration{OrderID: "unknown"}), publisher.ErrOutcomeUnknown)
		require.Equal(t, []expiration{{OrderID: "unknown"}}, eventtest.Published[expiration](b))
	})
}

// gobs is a codec that has nothing of JSON.
type gobs struct{}

func (gobs) Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	err := gob.NewEncoder(&buf).Encode(v)
	return buf.Bytes(), err
}

func (gobs) Decode(data []byte, v any) error { return gob.NewDecoder(bytes.NewReader(data)).Decode(v) }
func (gobs) ContentType() string             { return "application/x-gob" }

func TestCodec(t *testing.T) {
	t.Parallel()
	b := eventtest.New(t, eventtest.Codec(gobs{}))
	p, err := publisher.New[expiration](b.Client(), publisher.Codec(gobs{}))
	require.NoError(t, err)
	require.NoError(t, p.Publish(t.Context(), expiration{OrderID: "o1"}))
	eventtest.RequirePublished(t, b, is("o1"))

	failure := try(t, func(tb testing.TB) {
		b := eventtest.New(tb, eventtest.Codec(nil))
		p, err := publisher.New[expiration](b.Client(), publisher.Codec(gobs{}))
		require.NoError(tb, err)
		require.NoError(tb, p.Publish(t.Context(), expiration{OrderID: "o1"}))
		eventtest.Published[expiration](b)
	})
	require.Contains(t, failure, "on expiration:complete can't be decoded as a events.ExpirationComplete")
	require.Contains(t, failure, "option Codec")
}

func TestMisuseOfPublished(t *testing.T) {
	t.Parallel()
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequirePublished[expiration](tb, nil, nil) }),
		"RequirePublished: the Bus is nil; make it with eventtest.New")
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequireNotPublished[expiration](tb, nil, nil) }),
		"RequireNotPublished: the Bus is nil; make it with eventtest.New")
	require.PanicsWithValue(t, "eventtest.Published: the Bus is nil; make it with eventtest.New", func() { eventtest.Published[expiration](nil) })
	require.Contains(t, try(t, func(tb testing.TB) { eventtest.RequirePublished[*expiration](tb, eventtest.New(tb), nil) }),
		"it is a pointer; use events.ExpirationComplete")
}
