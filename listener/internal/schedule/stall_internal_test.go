package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stalling returns rules with a stall timeout of a minute.
func stalling(r Rules) Rules {
	r.StallTimeout = time.Minute
	return r
}

// TestStallTimeout: the longest of three, unless the rules have one.
func TestStallTimeout(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	require.Equal(t, 5*time.Minute, New(r, ackWait).StallTimeout())
	require.Equal(t, 30*time.Minute, New(r, 10*time.Minute).StallTimeout())
	r.HandlerTimeout = 20 * time.Minute
	require.Equal(t, 21*time.Minute, New(r, ackWait).StallTimeout())
	require.Equal(t, time.Minute, New(stalling(r), ackWait).StallTimeout())
}

// TestStallNeedsAnEventThatWaits: since when that is so, and until when.
func TestStallNeedsAnEventThatWaits(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"streaming": streaming(1), "jetstream": jetStream(1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(stalling(r), ackWait)
			require.Zero(t, s.Stall())
			arrive(s, arrived(1, 0))
			one := runs1(t, s, 1, 1)
			alone := s.Stall()
			require.Equal(t, r.CanExtend, alone.AtBroker, "it is asked where the listener asks for events")
			require.Equal(t, []*Task{one}, alone.Tasks)

			arrive(s, arrived(2, 10), arrived(3, 12))
			stall := s.Stall()
			require.Equal(t, at(10), stall.Since)
			require.Equal(t, 2, stall.Waiting)
			require.False(t, stall.AtBroker)
			require.Equal(t, []*Task{one}, stall.Tasks)
			if r.CanExtend {
				s.ExtendAckWaits(at(14))
				require.Equal(t, at(10), s.Stall().Since, "though its ack wait begins anew")
			} else {
				arrive(s, again(arrived(2, 15), 2))
				require.Equal(t, at(10), s.Stall().Since, "though the server has sent it again")
			}

			returns := s.Returns()
			handle(s, one, 14)
			require.NotEqual(t, returns, s.Returns())
			require.Zero(t, s.Stall().Since, "a worker is free")
			runs1(t, s, 2, 15)
			require.Equal(t, at(15), s.Stall().Since)
		})
	}
}

// TestStallOfFullListener: the server sends no others while handlers have as many as
// MaxInFlight.
func TestStallOfFullListener(t *testing.T) {
	t.Parallel()
	r := stalling(streaming(2))
	r.MaxInFlight = 2
	s := New(r, ackWait)
	arrive(s, arrived(1, 0), arrived(2, 3))
	require.Len(t, runs(s, 4), 2)
	stall := s.Stall()
	require.True(t, stall.AtBroker)
	require.Equal(t, at(4), stall.Since)
	s.NothingWaits(at(70))
	require.Equal(t, at(70), s.Stall().Since)

	// With ManualAck: one was left open, the other is acknowledged, and its handler goes on.
	s.Returned(busy(s, 1), at(80))
	require.Equal(t, at(80), s.Stall().Since)
	s.Acknowledged(busy(s, 2), at(81))
	require.Zero(t, s.Stall().Since, "the server may send another one")
}

// TestStallBehindAKey: an event waits for the handler of another one of its key, and not for
// one that backs off.
func TestStallBehindAKey(t *testing.T) {
	t.Parallel()
	s := New(stalling(jetStream(3)), ackWait)
	arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"))
	one := runs1(t, s, 1, 0)
	require.Equal(t, at(0), s.Stall().Since)
	require.Equal(t, 1, s.Stall().Waiting)
	fail(s, one, retryAfter(time.Hour, errToday), 1)
	require.Zero(t, s.Stall())
	s.ExtendAckWaits(at(3600))
	one = runs1(t, s, 1, 3601)
	require.Equal(t, at(3601), s.Stall().Since, "only since then")

	arrive(s, keyed(3, 3602, "b"))
	three := runs1(t, s, 3, 3602)
	handle(s, three, 3603)
	require.Equal(t, at(3603), s.Stall().Since, "another handler has returned")
	require.Equal(t, []*Task{one}, s.Stall().Tasks)
}

// TestStallAfterALongPause: what came first, and waited for its time, does not count.
func TestStallAfterALongPause(t *testing.T) {
	t.Parallel()
	r := stalling(jetStream(1))
	r.CanNak = false
	s := New(r, ackWait)
	arrive(s, arrived(1, 0))
	fail(s, runs1(t, s, 1, 0), retryAfter(time.Hour, errToday), 1)
	arrive(s, arrived(2, 3590))
	require.Equal(t, []uint64{2}, runs(s, 3590))
	s.Wake(at(3601))
	require.Equal(t, at(3601), s.Stall().Since)
}

// TestHung: a handler that does not return is told at intervals that grow, by itself.
func TestHung(t *testing.T) {
	t.Parallel()
	s := New(stalling(streaming(3)), ackWait)
	_, next := s.Hung(at(0))
	require.Zero(t, next, "nothing runs")
	arrive(s, arrived(1, 0))
	one := runs1(t, s, 1, 0)
	due, next := s.Hung(at(59))
	require.Empty(t, due)
	require.Equal(t, at(60), next)
	arrive(s, arrived(2, 59))
	two := runs1(t, s, 2, 59)

	var told []float64
	for now := 60.0; now < 4*3600; {
		due, next := s.Hung(at(now))
		for _, h := range due {
			require.False(t, h.Reading)
			if h.Task == one {
				told = append(told, now)
			}
		}
		require.True(t, next.After(at(now)))
		now = next.Sub(start).Seconds()
	}
	require.Equal(t, []float64{60, 120, 240, 480, 960}, told[:5])
	for i := range told[1:] {
		require.LessOrEqual(t, told[i+1]-told[i], 3600.0+60)
	}
	require.Greater(t, len(told), 8)

	handle(s, one, 5*3600)
	handle(s, two, 5*3600)
	_, next = s.Hung(at(5 * 3600))
	require.Zero(t, next)
}

// TestHungWhileReading: the function of the ordering key does not return. Nothing else comes
// in meanwhile.
func TestHungWhileReading(t *testing.T) {
	t.Parallel()
	s := New(stalling(streaming(2)), ackWait)
	task := keyed(1, 0, "a")
	s.BeginReading(task, at(0))
	due, next := s.Hung(at(30))
	require.Empty(t, due)
	require.Equal(t, at(60), next)
	require.Equal(t, at(0), s.Stall().Since)
	due, _ = s.Hung(at(60))
	require.Equal(t, []Hung{{Task: task, Reading: true}}, due)
	returns := s.Returns()
	s.Deliver(task, at(70))
	require.NotEqual(t, returns, s.Returns())
	require.Zero(t, s.Stall())

	task = keyed(2, 80, "a")
	s.BeginReading(task, at(80))
	returns = s.Returns()
	s.Deliver(task, at(81))
	require.Equal(t, returns, s.Returns(), "that it was read in no time does not count as a return")
}

// TestStallBehindTheSameEvent that was stored twice.
func TestStallBehindTheSameEvent(t *testing.T) {
	t.Parallel()
	s := New(stalling(jetStream(2)), ackWait)
	twice := [2]*Task{arrived(1, 0), arrived(2, 3)}
	for _, task := range twice {
		task.id = EventID{1, 2}
	}
	arrive(s, twice[:]...)
	require.Equal(t, []uint64{1}, runs(s, 4))
	stall := s.Stall()
	require.Equal(t, 1, stall.Waiting)
	require.Equal(t, at(4), stall.Since)
}

// TestDropForgotten: what has not come again for two ack waits is with another member.
func TestDropForgotten(t *testing.T) {
	t.Parallel()
	s := New(stalling(streaming(1)), ackWait)
	same := arrived(6, 4)
	arrive(s, keyed(1, 0, "a"), keyed(2, 0, "a"), keyed(3, 0, "a"), keyed(4, 0, "b"), keyed(5, 0, "b"), same)
	one := runs1(t, s, 1, 0)
	one.id, same.id = EventID{1, 2}, EventID{1, 2}
	require.Zero(t, s.DropForgotten(at(9)))
	arrive(s, again(keyed(2, 9, "a"), 2))
	require.Equal(t, 4, s.DropForgotten(at(14)))
	for _, e := range s.TakeEffects() {
		require.True(t, e.Do == Replace || e.Do == Drop && e.Quiet)
	}
	require.Equal(t, 1, s.Stall().Waiting, "2 has come again")
	handle(s, one, 15)
	handle(s, runs1(t, s, 2, 13), 16)
	requireEmpty(t, s)

	s = New(stalling(jetStream(1)), ackWait)
	arrive(s, arrived(1, 0), arrived(2, 0))
	runs1(t, s, 1, 0)
	require.Zero(t, s.DropForgotten(at(3600)), "its ack wait is extended")
}
