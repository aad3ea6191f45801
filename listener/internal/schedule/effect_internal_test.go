package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/observe"
)

// TestEffectsSayWhy: each delivery that is not run says why, and a delivery that is
// replaced is handed out to be released.
func TestEffectsSayWhy(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	first, second := &simSettler{}, &simSettler{}
	one := arrived(1, 0)
	one.Delivery.Settler = first
	arrive(s, one)
	later := again(arrived(1, 1), 2)
	later.Delivery.Settler = second
	arrive(s, later)
	require.Equal(t, []Effect{{Do: Replace, Task: one, Delivery: later.Delivery, Replaced: first, Skip: observe.SkipHere}}, s.TakeEffects())
	require.Same(t, second, s.LatestSettler(one))

	runs1(t, s, 1, 1)
	arrive(s, arrived(2, 1), arrived(3, 1))
	s.Interrupt(at(2))
	arrive(s, arrived(4, 2))
	s.Drain(at(2))
	var reasons []string
	for _, e := range s.TakeEffects() {
		require.Equal(t, Drop, e.Do)
		reasons = append(reasons, e.Skip)
	}
	require.Equal(t, []string{observe.SkipInterrupted, observe.SkipInterrupted, observe.SkipDraining}, reasons)
}

// TestDeadLetterHasItsAttempts: also when its event came again before it was stored.
func TestDeadLetterHasItsAttempts(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.MaxAttempts = 2
	s := New(r, ackWait)
	arrive(s, again(arrived(1, 0), 3))
	fail(s, runs1(t, s, 1, 0), failed(errToday), 0)
	one := runs1(t, s, 1, 1)
	decided(s)
	fail(s, one, failed(errToday), 4)
	e := s.TakeEffects()
	require.Equal(t, 2, e[0].Attempt)
	require.False(t, e[0].Again)
	s.DeadLetterNotStored(one, at(5))
	e = s.TakeEffects()
	require.Equal(t, LetGo, e[0].Do)
	require.Equal(t, 2, e[0].Attempt)
	arrive(s, again(arrived(1, 6), 4))
	e = s.TakeEffects()
	require.Equal(t, StoreDeadLetter, e[0].Do)
	require.Equal(t, 2, e[0].Attempt)
	require.Equal(t, 2, e[0].GiveUp.Attempts)
	require.True(t, e[0].Again)
	s.DeadLetterNotStored(e[0].Task, at(11))
	require.Equal(t, 2, s.TakeEffects()[0].Attempt, "also while it waits to be stored, though it has not run since it came again")
}
