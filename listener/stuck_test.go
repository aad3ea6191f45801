package listener_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
)

// TestNoDeadLetters: what can't be handled stays unacknowledged, and the client is
// degraded while as many as MaxInFlight do.
func TestNoDeadLetters(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		var mended atomic.Bool
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			if mended.Load() {
				return nil
			}
			return listener.Reject(errNotToday)
		}, listener.NoDeadLetters(), listener.MaxInFlight(2))
		s.publish("o1")
		time.Sleep(12 * time.Second)
		require.Equal(s, client.Connected, s.client.Status().State)
		s.publish("o2")
		time.Sleep(12 * time.Second)
		status := s.client.Status()
		require.Equal(s, client.Degraded, status.State)
		require.Contains(s, status.Reasons[0].Text, "events of expiration:complete (queue group payments) are stuck")
		require.ErrorContains(s, status.Reasons[0].Err, "NoDeadLetters")
		mended.Store(true)
		time.Sleep(12 * time.Second)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Empty(s, s.letters())
		stop()
		require.Zero(s, s.open())
		s.close()
	})
}

// TestTwoOfAGroupAreStuck: of two listeners with the same name, which share the client, one that
// ends says nothing of the other.
func TestTwoOfAGroupAreStuck(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		var mended atomic.Bool
		h := func(context.Context, expiration, listener.Delivery) error {
			if mended.Load() {
				return nil
			}
			return listener.Reject(errNotToday)
		}
		stop := s.listen(h, listener.NoDeadLetters(), listener.MaxInFlight(1))
		stopOther := s.listen(h, listener.NoDeadLetters(), listener.MaxInFlight(1))
		s.publish("o1", "o2")
		time.Sleep(12 * time.Second)
		require.Equal(s, client.Degraded, s.client.Status().State)
		stop()
		require.Equal(s, client.Degraded, s.client.Status().State)
		mended.Store(true)
		time.Sleep(12 * time.Second)
		require.Equal(s, client.Connected, s.client.Status().State)
		stopOther()
		require.Zero(s, s.open())
		s.close()
	})
}

// TestAttemptsThatTakeAllPlaces: over NATS Streaming, events that fail keep their places
// at the server until they are handled or given up. Who owns the client is told.
func TestAttemptsThatTakeAllPlaces(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		handled := make(chan string, 1)
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			if e.OrderID != "good" {
				return errNotToday
			}
			handled <- e.OrderID
			return nil
		}, listener.MaxInFlight(2))
		s.publish("bad1", "bad2", "good")
		time.Sleep(12 * time.Second)
		status := s.client.Status()
		if s.gives() { // given back, they keep no places
			require.Equal(s, client.Connected, status.State)
			require.Len(s, handled, 1)
		} else {
			require.Equal(s, client.Degraded, status.State)
			require.Contains(s, status.Reasons[0].Text, "events of expiration:complete (queue group payments) are stuck")
			require.ErrorContains(s, status.Reasons[0].Err, "set MaxAttempts to fewer")
			require.Empty(s, handled)
		}
		time.Sleep(10 * time.Minute)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Len(s, handled, 1)
		require.Len(s, s.letters(), 2)
		stop()
		s.close()
	})
}

// missing is an error whose methods do not bear that there is none, as in
// "var err *missing; return err".
type missing struct{ cause error }

func (m *missing) Error() string { return m.cause.Error() }
func (m *missing) Unwrap() error { return m.cause }

// TestStuckKey: what waits for an event of its key that can't be handled is stuck as
// well, and the client says so when nothing else has room.
func TestStuckKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		var mended atomic.Bool
		var mu sync.Mutex
		var handled []string
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			if e.OrderID == "a1" && !mended.Load() {
				return errNotToday
			}
			mu.Lock()
			defer mu.Unlock()
			handled = append(handled, e.OrderID)
			return nil
		}, listener.NoDeadLetters(), listener.MaxAttempts(1), listener.Concurrency(2), listener.MaxInFlight(4),
			listener.OrderingKey(func(e expiration) string { return e.OrderID[:1] }))
		s.publish("a1", "a2", "a3", "b1")
		time.Sleep(time.Minute)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Equal(s, []string{"b1"}, handled, "another key goes on")
		s.publish("a4", "b2")
		time.Sleep(time.Minute)
		status := s.client.Status()
		require.Equal(s, client.Degraded, status.State)
		require.Contains(s, status.Reasons[0].Text, "or wait for one that does")
		require.ErrorContains(s, status.Reasons[0].Err, "leave out option NoDeadLetters")
		mended.Store(true)
		time.Sleep(time.Minute)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.ElementsMatch(s, []string{"b1", "b2", "a1", "a2", "a3", "a4"}, handled)
		stop()
		s.close()
	})
}
