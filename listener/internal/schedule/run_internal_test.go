package schedule

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunsInOrder(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	arrive(s, arrived(1, 0), arrived(2, 0), arrived(3, 0), arrived(4, 0))
	require.Equal(t, []uint64{1, 2}, runs(s, 0))
	handle(s, busy(s, 2), 0)
	require.Equal(t, []uint64{3}, runs(s, 0))
	handle(s, busy(s, 1), 0)
	handle(s, busy(s, 3), 0)
	handle(s, runs1(t, s, 4, 0), 0)
	requireEmpty(t, s)
	require.Empty(t, s.attempts.known)
	require.Empty(t, decided(s))
}

func TestDropsLateEvents(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	arrive(s, arrived(1, 0), arrived(2, 1))
	two := runs1(t, s, 2, 5)
	require.Equal(t, []string{"late 1"}, decided(s))

	arrive(s, again(arrived(1, 6), 2)) // it comes again, and is taken in again
	handle(s, two, 6)
	require.Equal(t, 1, runs1(t, s, 1, 6).Attempt, "nobody ran it before")
}

// TestAcknowledgedLate: an event whose attempt failed and that is acknowledged all the same
// is not tried again.
func TestAcknowledgedLate(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	for name, prepare := range map[string]func(task *Task){
		"held":      func(*Task) {},
		"ready":     func(*Task) { s.Wake(at(100)) },
		"let go":    func(task *Task) { s.awaitRedelivery(task, at(100)); s.backingOff = dueQueue{} },
		"came back": func(task *Task) { s.remove(task, at(1)); arrive(s, again(arrived(task.Message.Sequence, 1), 2)) },
	} {
		task := arrived(uint64(len(name)), 0)
		arrive(s, task)
		require.Equal(t, task, s.Next(at(0)))
		fail(s, task, failed(errToday), 0)
		prepare(task)
		s.AcknowledgedLate(task, at(1))
		require.Empty(t, runs(s, 2), name)
		decided(s)
		arrive(s, again(arrived(task.Message.Sequence, 5), 2))
		require.Equal(t, []string{fmt.Sprintf("ack %d", len(name))}, decided(s), name)
		requireEmpty(t, s)
	}
}

// TestAcknowledgesAgain: an event that comes again although it was acknowledged is
// acknowledged again, and does not run.
func TestAcknowledgesAgain(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	arrive(s, arrived(1, 0))
	one := runs1(t, s, 1, 0)
	arrive(s, arrived(1, 0)) // it runs
	s.Returned(one, at(0))
	arrive(s, arrived(1, 0)) // it is not settled: with ManualAck
	require.Empty(t, runs(s, 0))
	require.Empty(t, decided(s))
	s.Acknowledged(one, at(0))
	arrive(s, arrived(1, 0))
	require.Equal(t, []string{"ack 1"}, decided(s))
	s.Drain(at(0))
	arrive(s, arrived(1, 0))
	require.Equal(t, []string{"ack 1"}, decided(s), "also while it drains")
	require.Empty(t, runs(s, 0))
}
