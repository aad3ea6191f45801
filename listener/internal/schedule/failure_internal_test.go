package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

// TestHoldsFailedEvents: an event that failed is held as long as its ack wait lasts; then the
// redelivery is the next attempt.
func TestHoldsFailedEvents(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	arrive(s, arrived(1, 0), arrived(2, 0))
	fail(s, runs1(t, s, 1, 0), failed(errToday), 0)
	require.Equal(t, []string{"hold 1 for 1s"}, decided(s))
	require.Equal(t, at(1), s.WakeAt())
	handle(s, runs1(t, s, 2, 0), 0.5) // others go on
	require.Empty(t, runs(s, 0.9))
	one := runs1(t, s, 1, 1)
	require.Equal(t, 2, one.Attempt)
	fail(s, one, failed(errToday), 1)
	require.Equal(t, []string{"hold 1 for 2s"}, decided(s))
	fail(s, runs1(t, s, 1, 3), failed(errToday), 3)
	require.Equal(t, []string{"let go 1 for 3s"}, decided(s))
	requireEmpty(t, s)

	arrive(s, again(arrived(1, 5), 2))
	one = runs1(t, s, 1, 5)
	require.Equal(t, 4, one.Attempt, "three here, though the server has counted two deliveries")
	fail(s, one, failed(errToday), 5)
	require.Equal(t, []string{"dead letter 1"}, decided(s))
	require.Equal(t, GiveUp{events.DeadLetterExhausted, errToday, 4, at(5)}, *one.GiveUp)
	s.DeadLetterStored(one, at(6))
	arrive(s, again(arrived(1, 7), 3))
	require.Equal(t, []string{"ack 1"}, decided(s))
	requireEmpty(t, s)
}

// TestLeavesTimeForTheHandler: an attempt that could not be over within the ack
// wait is not made here.
func TestLeavesTimeForTheHandler(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.HandlerTimeout = 3 * time.Second
	s := New(r, ackWait)
	arrive(s, arrived(1, 0))
	fail(s, runs1(t, s, 1, 0), failed(errToday), 0.5)
	require.Equal(t, []string{"hold 1 for 1s"}, decided(s), "at 1.5 s, until 4.5 s")
	arrive(s, arrived(2, 0))
	fail(s, runs1(t, s, 2, 0), failed(errToday), 0.6)
	require.Equal(t, []string{"let go 2 for 1s"}, decided(s))
}

func TestNaks(t *testing.T) {
	t.Parallel()
	s := New(jetStream(1), ackWait)
	arrive(s, arrived(1, 0))
	fail(s, runs1(t, s, 1, 0), failed(errToday), 0)
	require.Equal(t, []string{"nak 1 for 1s"}, decided(s))
	requireEmpty(t, s)
	arrive(s, again(arrived(1, 1), 2))
	one := runs1(t, s, 1, 1)
	require.Equal(t, 2, one.Attempt)
	fail(s, one, retryAfter(time.Hour, errToday), 1)
	require.Equal(t, []string{"nak 1 for 1h0m0s"}, decided(s))
	arrive(s, again(arrived(1, 3601), 3))
	fail(s, runs1(t, s, 1, 3601), rejected(errToday), 3601)
	require.Equal(t, []string{"dead letter 1"}, decided(s))
}

// TestRetryAfter: deliveries before the next attempt is due are not run, and not counted.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	arrive(s, arrived(1, 0))
	fail(s, runs1(t, s, 1, 0), retryAfter(12*time.Second, errToday), 0)
	require.Equal(t, []string{"let go 1 for 12s"}, decided(s))
	arrive(s, again(arrived(1, 5), 2))
	require.Empty(t, runs(s, 5))
	require.Equal(t, []string{"let go 1 for 7s"}, decided(s))
	arrive(s, again(arrived(1, 10), 3))
	require.Equal(t, []string{"hold 1 for 2s"}, decided(s))
	require.Empty(t, runs(s, 11))
	require.Equal(t, 2, runs1(t, s, 1, 12).Attempt)
}
