package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

// TestWaitingIsNoAttempt: an event that can't be handled yet uses no attempt, and what the
// next attempt may be does not depend on how often it waited.
func TestWaitingIsNoAttempt(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"streaming": streaming(1), "jetstream": jetStream(1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(r, ackWait)
			now, deliveries := 0.0, 0
			run := func() *Task {
				now += 10
				deliveries++
				arrive(s, again(arrived(1, now), deliveries))
				return runs1(t, s, 1, now)
			}
			for range 3 * r.MaxAttempts {
				task := run()
				require.Equal(t, 1, task.Attempt)
				fail(s, task, Failure{Err: errToday, After: 9 * time.Second, Timed: true, Waits: true}, now)
				e := s.TakeEffects()
				require.Len(t, e, 1)
				require.Equal(t, 1, e[0].Attempt, "the run that it is told of")
				require.Equal(t, deliveries, e[0].Waited)
				require.Equal(t, 9*time.Second, e[0].Delay)
			}
			for attempt := 1; attempt <= r.MaxAttempts; attempt++ {
				task := run()
				require.Equal(t, attempt, task.Attempt)
				fail(s, task, retryAfter(9*time.Second, errToday), now)
				e := s.TakeEffects()
				require.Len(t, e, 1)
				require.Zero(t, e[0].Waited)
				require.Equal(t, attempt == r.MaxAttempts, e[0].Do == StoreDeadLetter)
			}
		})
	}
}

// TestWaitsHere: an event that is held while it waits uses no attempt either.
func TestWaitsHere(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	arrive(s, arrived(1, 0))
	for n := range 4 {
		task := runs1(t, s, 1, float64(n))
		require.Equal(t, 1, task.Attempt)
		fail(s, task, Failure{Err: errToday, After: time.Second, Timed: true, Waits: true}, float64(n))
		require.Equal(t, []string{"hold 1 for 1s"}, decided(s))
	}
	handle(s, runs1(t, s, 1, 4), 4)
	requireEmpty(t, s)
}

// TestVersionGapEnds: an event waits for the one before it as long as that may be on its way,
// and VersionGapTimeout beyond.
func TestVersionGapEnds(t *testing.T) {
	t.Parallel()
	r := jetStream(1)
	r.VersionGapTimeout = time.Minute
	s := New(r, ackWait)
	now := 0.0
	wait := func(behind time.Time) (*Task, Effect) {
		now += 6
		arrive(s, arrived(1, now))
		task := runs1(t, s, 1, now)
		fail(s, task, Failure{Err: errToday, OutOfOrder: true, Missing: 2, Behind: behind}, now)
		e := s.TakeEffects()
		require.Len(t, e, 1)
		return task, e[0]
	}
	s.rules.GapBackoff = func(missing int64, _ int) time.Duration { return time.Duration(missing) * time.Second }
	for range 100 { // others still read what was stored before it
		_, e := wait(at(now))
		require.Equal(t, Nak, e.Do)
		require.Equal(t, 2*time.Second, e.Delay)
	}
	last := now - 6
	for now+6 < last+60 {
		_, e := wait(at(last))
		require.Equal(t, Nak, e.Do, "at %v of %v", now, last)
	}
	task, e := wait(at(last))
	require.Equal(t, StoreDeadLetter, e.Do)
	require.Equal(t, GiveUp{events.DeadLetterVersionGap, errToday, 0, at(now)}, *task.GiveUp)
}

// TestVersionGapBeginsAnew: the wait counts from when the event was first out of order; a
// failure of another kind ends it.
func TestVersionGapBeginsAnew(t *testing.T) {
	t.Parallel()
	s := New(jetStream(1), ackWait)
	gap := Failure{Err: errToday, OutOfOrder: true}
	for _, step := range []struct {
		at   float64
		f    Failure
		does Action
	}{
		{0, gap, Nak},
		{50, gap, Nak},
		{55, failed(errToday), Nak},
		{70, gap, Nak},
		{125, gap, Nak},
		{130, gap, StoreDeadLetter},
	} {
		arrive(s, arrived(1, step.at))
		fail(s, runs1(t, s, 1, step.at), step.f, step.at)
		e := s.TakeEffects()
		require.Len(t, e, 1)
		require.Equal(t, step.does, e[0].Do, "at %v", step.at)
		if step.does == StoreDeadLetter {
			require.Equal(t, 1, e[0].GiveUp.Attempts)
		}
	}
}
