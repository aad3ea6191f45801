package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKeepsTheOrderOfAKey: an event that fails holds up its key, and no other.
func TestKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"jetstream": jetStream(3), "streaming": streaming(3)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(r, ackWait)
			arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "b"), keyed(4, 0, "a"))
			require.Equal(t, []uint64{1, 3}, runs(s, 0), "2 and 4 wait for 1")
			handle(s, busy(s, 3), 0)
			require.Empty(t, runs(s, 0))
			fail(s, busy(s, 1), failed(errToday), 0)
			require.Equal(t, []string{"hold 1 for 1s"}, decided(s))
			require.Empty(t, runs(s, 0.5))
			one := runs1(t, s, 1, 1)
			fail(s, one, rejected(errToday), 1)
			require.Equal(t, []string{"dead letter 1"}, decided(s))
			require.Empty(t, runs(s, 1))
			s.DeadLetterStored(one, at(1))
			handle(s, runs1(t, s, 2, 1), 1)
			handle(s, runs1(t, s, 4, 1), 1)
			requireEmpty(t, s)
		})
	}
}

// TestKeyAwaitsRedelivery: an event that was let go holds up its key until it comes again,
// or another member must have it. Those behind it that become late come again in order.
func TestKeyAwaitsRedelivery(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(1, 0, "a"), keyed(2, 1, "a"), keyed(3, 3, "a"))
	fail(s, runs1(t, s, 1, 0), retryAfter(5*time.Second, errToday), 0)
	require.Equal(t, []string{"let go 1 for 5s"}, decided(s))
	require.Empty(t, runs(s, 4.9))
	arrive(s, again(keyed(1, 5, "a"), 2))
	one := runs1(t, s, 1, 5)
	handle(s, one, 6)
	require.Empty(t, runs(s, 6), "2 is late")
	require.Equal(t, []string{"late 2"}, decided(s))
	require.Empty(t, runs(s, 6.5), "3 must not overtake it")
	arrive(s, again(keyed(2, 6.6, "a"), 2))
	handle(s, runs1(t, s, 2, 6.6), 6.7)
	handle(s, runs1(t, s, 3, 6.8), 7)
	requireEmpty(t, s)

	arrive(s, keyed(4, 10, "a"), keyed(5, 12, "a"))
	fail(s, runs1(t, s, 4, 10), retryAfter(time.Minute, errToday), 10)
	require.Equal(t, at(20), s.WakeAt(), "two ack waits")
	arrive(s, again(keyed(5, 17, "a"), 2))
	require.Empty(t, runs(s, 19.9))
	handle(s, runs1(t, s, 5, 20), 20)
	requireEmpty(t, s)

	r := streaming(2)
	r.NoGroup = true
	s = New(r, ackWait)
	arrive(s, keyed(1, 0, "a"))
	fail(s, runs1(t, s, 1, 0), retryAfter(time.Minute, errToday), 0)
	require.Equal(t, at(60), s.WakeAt(), "nobody else can have it")
}

// TestEarlierEventComesFirst: an event that another member had comes before those of its
// key that wait, but not before the one that runs.
func TestEarlierEventComesFirst(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(5, 0, "a"), keyed(6, 0, "a"))
	five := runs1(t, s, 5, 0)
	arrive(s, again(keyed(3, 1, "a"), 2))
	require.Empty(t, runs(s, 1))
	handle(s, five, 1)
	arrive(s, again(keyed(2, 1, "a"), 2)) // 3 has not begun
	handle(s, runs1(t, s, 2, 1), 1)
	fail(s, runs1(t, s, 3, 1), failed(errToday), 1)
	arrive(s, again(keyed(1, 1, "a"), 2))
	handle(s, runs1(t, s, 1, 1), 1)
	require.Empty(t, runs(s, 1.9))
	handle(s, runs1(t, s, 3, 2), 2)
	handle(s, runs1(t, s, 6, 2), 2)
	requireEmpty(t, s)
}

// TestHoldsTheKey: an event holds up its key until it is settled and its handler has
// returned, whichever comes last. An attempt that failed waits for its handler, too.
func TestHoldsTheKey(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "a"))
	one := runs1(t, s, 1, 0)
	s.Returned(one, at(0))
	require.Empty(t, runs(s, 0), "1 is not settled")
	s.Acknowledged(one, at(0))
	two := runs1(t, s, 2, 0)
	s.Acknowledged(two, at(0))
	require.Empty(t, runs(s, 0), "the handler of 2 still runs")
	s.Returned(two, at(0))
	three := runs1(t, s, 3, 0)
	s.Fail(three, failed(errToday), at(0))
	require.Empty(t, decided(s), "the handler of 3 still runs")
	s.Returned(three, at(1))
	require.Equal(t, []string{"hold 3 for 1s"}, decided(s))
	handle(s, runs1(t, s, 3, 2), 2)
	requireEmpty(t, s)
}

// TestComesAgainUnreadable: an event holds up its key until it comes again, and then can't
// be read, as one that is valid for a time only. Its key goes on.
func TestComesAgainUnreadable(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"))
	fail(s, runs1(t, s, 1, 0), retryAfter(4900*time.Millisecond, errToday), 0.1) // which does not fit: it comes again
	decided(s)
	task := arrived(1, 5)
	task.Failed = unreadable(errToday)
	arrive(s, task, keyed(2, 5, "a"))
	require.Equal(t, []uint64{2}, runs(s, 5))
	s.DeadLetterStored(task, at(5.1))
	handle(s, busy(s, 2), 5.2)
	require.Empty(t, s.keys.byKey)
}

// TestKeyQueueUsedAgain: a queue that is used for another key holds nothing of the key
// before.
func TestKeyQueueUsedAgain(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, keyed(1, 0, "a"))
	one := runs1(t, s, 1, 0)
	s.Acknowledged(one, at(0)) // with ManualAck: its handler goes on
	for i := range 2*s.acknowledged.size + 1 {
		s.acknowledged.add(MessageKey{uint64(10 + i), 5}, EventID{})
	}
	arrive(s, keyed(1, 60, "a")) // its acknowledgement was lost, and forgotten here
	s.Interrupt(at(61))
	s.Wake(at(121))
	s.Returned(one, at(122))
	arrive(s, keyed(70_000, 123, "b"))
	require.Equal(t, []uint64{70_000}, runs(s, 123))
}
