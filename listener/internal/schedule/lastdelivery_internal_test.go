package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

// onLast makes a task one that the server delivers no more.
func onLast(task *Task) *Task {
	task.Delivery.Last = true
	return again(task, 3)
}

// TestLastDelivery: what fails on its last delivery becomes a dead letter at once, however many
// attempts are left.
func TestLastDelivery(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]Failure{"failed": failed(errToday), "to be tried later": retryAfter(time.Hour, errToday)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(jetStream(1), ackWait)
			arrive(s, onLast(arrived(1, 0)))
			one := runs1(t, s, 1, 0)
			fail(s, one, f, 1)
			require.Equal(t, []string{"dead letter 1"}, decided(s))
			require.Equal(t, events.DeadLetterExhausted, one.GiveUp.Reason)
			require.Equal(t, 1, one.GiveUp.Attempts)
			require.ErrorIs(t, one.GiveUp.Err, errToday)
			require.ErrorContains(t, one.GiveUp.Err, "max_deliver")
			require.Len(t, s.ExtendAckWaits(at(3)), 1, "the server does not give it up meanwhile")
			require.Positive(t, s.DeadLetterNotStored(one, at(4)))
			require.Equal(t, []string{"hold 1 for 1s"}, decided(s))
			s.Wake(at(5))
			require.Equal(t, []string{"dead letter 1"}, decided(s))
			s.DeadLetterStored(one, at(6))
			requireEmpty(t, s)
		})
	}
}

// TestLastDeliveryWaits: an event that can't be handled yet waits here, since it does not come
// again.
func TestLastDeliveryWaits(t *testing.T) {
	t.Parallel()
	s := New(jetStream(1), ackWait)
	arrive(s, onLast(arrived(1, 0)), onLast(keyed(2, 0, "a")))
	fail(s, runs1(t, s, 1, 0), Failure{Err: errToday, Waits: true, Timed: true, After: time.Minute}, 0)
	fail(s, runs1(t, s, 2, 0), Failure{Err: errToday, OutOfOrder: true}, 0)
	require.Equal(t, []string{"hold 1 for 1m0s", "hold 2 for 1s"}, decided(s))
	require.Len(t, s.ExtendAckWaits(at(1)), 2)
	require.Equal(t, []uint64{2}, runs(s, 1))
	handle(s, busy(s, 2), 1)
	require.Equal(t, 1, runs1(t, s, 1, 60).Attempt)
	fail(s, busy(s, 1), Failure{Err: errToday, Waits: true}, 60)
	require.Equal(t, []string{"hold 1 for 1s"}, decided(s))
	s.Drain(at(60.5))
	require.Equal(t, []string{"dead letter 1"}, decided(s), "nobody gets it after this listener")
}

// TestLastDeliveryWithoutDeadLetters: it is held here for each attempt.
func TestLastDeliveryWithoutDeadLetters(t *testing.T) {
	t.Parallel()
	r := jetStream(1)
	r.DeadLetters, r.MaxAttempts = false, 2
	s := New(r, ackWait)
	arrive(s, onLast(arrived(1, 0)))
	fail(s, runs1(t, s, 1, 0), failed(errToday), 0)
	fail(s, runs1(t, s, 1, 1), failed(errToday), 1)
	require.Equal(t, []string{"hold 1 for 1s", "hold 1 for 5s"}, decided(s))
}

// TestLastDeliveryIsNotDropped: when the link is lost, when it is late, or when the listener
// ends.
func TestLastDeliveryIsNotDropped(t *testing.T) {
	t.Parallel()
	s := New(jetStream(1), ackWait)
	arrive(s, arrived(1, 0), onLast(arrived(2, 0)), arrived(3, 0), onLast(keyed(4, 0, "a")), onLast(keyed(5, 0, "a")))
	one := runs1(t, s, 1, 0)
	s.Interrupt(at(1))
	require.Equal(t, []string{"drop 3"}, decided(s))
	handle(s, one, 10)
	require.Equal(t, 1, runs1(t, s, 2, 10).Attempt, "nobody else has it")
	s.Drain(at(11))
	arrive(s, onLast(arrived(6, 11)), arrived(7, 11))
	require.Equal(t, []string{"dead letter 4", "dead letter 5", "dead letter 6", "drop 7"}, decided(s))
	require.Zero(t, s.active[KeyOf(arrived(6, 0).Delivery)].GiveUp.Attempts)
	fail(s, busy(s, 2), failed(errToday), 12)
	require.Equal(t, []string{"dead letter 2"}, decided(s))
}

// TestLastDeliveryUnreadable: that others may be able to read it is no help.
func TestLastDeliveryUnreadable(t *testing.T) {
	t.Parallel()
	r := jetStream(1)
	r.StopAtUnreadable = 1
	s := New(r, ackWait)
	one := onLast(arrived(1, 0))
	one.Failed = unreadable(errToday)
	arrive(s, one)
	require.Equal(t, []string{"dead letter 1"}, decided(s))
}
