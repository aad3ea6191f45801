package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/observe"
)

// suspecting returns rules by which an event is suspect that was sent again more than 3 times.
func suspecting(r Rules) Rules {
	r.SuspectAfter, r.SuspectsTurn = 3, time.Minute
	r.AnyOf = func(int) int { return 0 }
	return r
}

// asked returns the task whose mark is asked for.
func asked(t *testing.T, s *Scheduler) *Task {
	t.Helper()
	for _, e := range s.TakeEffects() {
		if e.Do == StoreMark {
			return e.Task
		}
	}
	require.FailNow(t, "no mark was asked for")
	return nil
}

// TestSuspectsRunOneAtATime, after what is ready, and each after its mark.
func TestSuspectsRunOneAtATime(t *testing.T) {
	t.Parallel()
	s := New(suspecting(jetStream(4)), ackWait)
	arrive(s, again(arrived(1, 0), 4), again(arrived(2, 0), 5), again(arrived(3, 0), 3), arrived(4, 0))
	require.Equal(t, 3, s.Ready())
	require.Equal(t, []uint64{3, 4}, runs(s, 0))
	one := asked(t, s)
	require.EqualValues(t, 1, one.Message.Sequence)
	require.Zero(t, s.Ready())
	require.Empty(t, runs(s, 0))
	s.Marked(one, true)
	require.Equal(t, 1, s.Ready())
	one = runs1(t, s, 1, 0)
	require.True(t, s.Suspects())
	require.Empty(t, decided(s), "the second waits for the first")
	handle(s, one, 1)
	require.Empty(t, runs(s, 1))
	effects := s.TakeEffects()
	require.Equal(t, []Action{TakeMarkBack, StoreMark}, []Action{effects[0].Do, effects[1].Do})
	require.Same(t, one, effects[0].Task)
	s.Marked(effects[1].Task, false)
	two := runs1(t, s, 2, 1)
	fail(s, two, failed(errToday), 2)
	for _, e := range s.TakeEffects() {
		require.NotEqual(t, TakeMarkBack, e.Do, "it has none")
	}
	require.False(t, s.Suspects())
	handle(s, busy(s, 3), 3)
	handle(s, busy(s, 4), 3)
	arrive(s, again(arrived(2, 4), 9))
	require.Equal(t, []uint64{2}, runs(s, 4), "it has run here, so that it is not suspect any more")
}

// TestAnySuspectIsNext: which one is drawn.
func TestAnySuspectIsNext(t *testing.T) {
	t.Parallel()
	r := suspecting(jetStream(1))
	r.AnyOf = func(n int) int { return n / 2 }
	s := New(r, ackWait)
	arrive(s, again(arrived(1, 0), 4), again(arrived(2, 0), 4), again(arrived(3, 0), 4))
	for _, next := range []uint64{2, 3, 1} {
		require.Empty(t, runs(s, 0))
		s.Marked(asked(t, s), true)
		handle(s, runs1(t, s, next, 0), 0)
	}
	requireEmpty(t, s)
}

// TestASuspectIsNotPutOffForEver: after half its ack wait it goes before those that are ready.
func TestASuspectIsNotPutOffForEver(t *testing.T) {
	t.Parallel()
	s := New(suspecting(streaming(1)), ackWait)
	arrive(s, again(arrived(1, 0), 4), arrived(2, 0), arrived(3, 0), arrived(4, 0))
	two := runs1(t, s, 2, 0)
	handle(s, two, 2)
	three := runs1(t, s, 3, 2)
	handle(s, three, 2.5)
	require.Equal(t, []uint64{4}, runs(s, 2.5), "its mark is asked for, and others run meanwhile")
	s.Marked(asked(t, s), true)
	arrive(s, arrived(5, 2.5))
	handle(s, busy(s, 4), 2.6)
	runs1(t, s, 1, 2.6)
}

// TestWhatWasDroppedHereIsNotSuspect, however often that happens; what comes from elsewhere stays suspect.
func TestWhatWasDroppedHereIsNotSuspect(t *testing.T) {
	t.Parallel()
	s := New(suspecting(jetStream(1)), ackWait)
	one := arrived(1, 0)
	arrive(s, one, arrived(2, 0), again(arrived(3, 0), 7))
	runs1(t, s, 1, 0)
	handle(s, one, 6)
	require.Empty(t, runs(s, 6))
	require.Equal(t, []string{"late 3", "late 2"}, decided(s))
	arrive(s, again(arrived(2, 7), 4), again(arrived(3, 7), 8))
	runs1(t, s, 2, 7)
	s.Interrupt(at(7))
	require.Equal(t, []string{"drop 3"}, decided(s))
	arrive(s, again(arrived(3, 8), 9))
	handle(s, busy(s, 2), 8)
	require.Empty(t, runs(s, 8))
	require.EqualValues(t, 3, asked(t, s).Message.Sequence)
}

// TestCrashed: no handler runs.
func TestCrashed(t *testing.T) {
	t.Parallel()
	s := New(suspecting(streaming(1)), ackWait)
	arrive(s, again(arrived(1, 0), 4))
	require.Empty(t, runs(s, 0))
	s.Crashed(asked(t, s), errToday, at(1))
	e := s.TakeEffects()
	require.Len(t, e, 1)
	require.Equal(t, StoreDeadLetter, e[0].Do)
	require.Equal(t, GiveUp{Reason: events.DeadLetterCrashed, Err: errToday, At: at(1)}, e[0].GiveUp)
	require.False(t, s.Suspects())
	s.DeadLetterStored(e[0].Task, at(2))
	requireEmpty(t, s)
}

// TestUndecided: others have their turn meanwhile, and the event is asked for again also if it is late by then.
func TestUndecided(t *testing.T) {
	t.Parallel()
	s := New(suspecting(jetStream(1)), ackWait)
	arrive(s, again(arrived(1, 0), 4), again(arrived(2, 0), 4))
	require.Empty(t, runs(s, 0))
	s.Undecided(asked(t, s), at(6), at(0))
	require.Equal(t, at(6), s.WakeAt())
	require.Empty(t, runs(s, 0))
	s.Marked(asked(t, s), true)
	handle(s, runs1(t, s, 2, 0), 1)
	require.Empty(t, runs(s, 6))
	one := asked(t, s)
	s.Marked(one, true)
	require.Empty(t, runs(s, 6))
	require.Equal(t, []string{"late 1", " 1"}, decided(s), "to run it is too late, and its mark is taken back")
	requireEmpty(t, s)
}

// TestAMarkThatComesTooLate is taken back: its task was dropped, waits for another, or the Listen ends.
func TestAMarkThatComesTooLate(t *testing.T) {
	t.Parallel()
	s := New(suspecting(streaming(2)), ackWait)
	arrive(s, again(arrived(1, 0), 4))
	require.Empty(t, runs(s, 0))
	one := asked(t, s)
	s.Interrupt(at(1))
	arrive(s, again(arrived(1, 1), 5))
	require.Zero(t, s.Ready(), "one mark is asked for at a time")
	s.TakeEffects()
	s.Marked(one, true)
	require.Equal(t, TakeMarkBack, s.TakeEffects()[0].Do)
	require.Empty(t, runs(s, 1))
	one = asked(t, s)
	s.Marked(one, true)
	runs1(t, s, 1, 1)
	s.Drain(at(2))
	require.Equal(t, TakeMarkBack, s.TakeEffects()[0].Do, "an orderly end")
	handle(s, one, 3)
	require.Empty(t, s.TakeEffects())
	requireEmpty(t, s)

	s = New(suspecting(streaming(2)), ackWait)
	two := keyed(2, 0, "a")
	two.Delivery.Deliveries = 4
	arrive(s, two)
	require.Empty(t, runs(s, 0))
	require.Same(t, two, asked(t, s))
	arrive(s, keyed(1, 0, "a"))
	s.Marked(two, true)
	require.Equal(t, TakeMarkBack, s.TakeEffects()[0].Do, "an earlier event of its key has come")
	handle(s, runs1(t, s, 1, 0), 1)
	require.Empty(t, runs(s, 1))
	require.Same(t, two, asked(t, s))
}

// TestASuspectThatIsSettledByHand keeps the turn until it is settled.
func TestASuspectThatIsSettledByHand(t *testing.T) {
	t.Parallel()
	s := New(suspecting(streaming(2)), ackWait)
	arrive(s, again(arrived(1, 0), 4), again(arrived(2, 0), 4))
	require.Empty(t, runs(s, 0))
	s.Marked(asked(t, s), true)
	one := runs1(t, s, 1, 0)
	s.Returned(one, at(1))
	require.Empty(t, runs(s, 1))
	require.Empty(t, s.TakeEffects())
	s.Acknowledged(one, at(2))
	require.Equal(t, TakeMarkBack, s.TakeEffects()[0].Do)
	require.Empty(t, runs(s, 2))
	require.EqualValues(t, 2, asked(t, s).Message.Sequence)
}

// TestASuspectThatHangs keeps its mark, and does not hold up the others for ever.
func TestASuspectThatHangs(t *testing.T) {
	t.Parallel()
	s := New(suspecting(jetStream(2)), ackWait)
	arrive(s, again(arrived(1, 0), 4), again(arrived(2, 0), 4))
	require.Empty(t, runs(s, 0))
	s.Marked(asked(t, s), true)
	one := runs1(t, s, 1, 0)
	require.Equal(t, at(60), s.WakeAt())
	s.ExtendAckWaits(at(59))
	require.Empty(t, runs(s, 59))
	require.Empty(t, s.TakeEffects())
	require.Empty(t, runs(s, 60))
	require.Zero(t, s.WakeAt())
	two := asked(t, s)
	s.Marked(two, true)
	runs1(t, s, 2, 60)
	handle(s, one, 100)
	require.Same(t, one, s.TakeEffects()[0].Task)
	s.Drain(at(101))
	e := s.TakeEffects()
	require.Len(t, e, 1)
	require.Equal(t, TakeMarkBack, e[0].Do)
	require.Same(t, two, e[0].Task)
}

// TestASuspectThatWasAcknowledgedLate: a suspect that was handled meanwhile does not run.
func TestASuspectThatWasAcknowledgedLate(t *testing.T) {
	t.Parallel()
	for _, marks := range []bool{false, true} {
		s := New(suspecting(streaming(1)), ackWait)
		arrive(s, again(arrived(1, 0), 4))
		if marks {
			require.Empty(t, runs(s, 0))
			s.Marked(asked(t, s), true)
		}
		s.AcknowledgedLate(s.active[KeyOf(arrived(1, 0).Delivery)], at(1))
		require.Equal(t, observe.SkipHandled, s.TakeEffects()[0].Skip)
		require.Empty(t, runs(s, 1))
		require.False(t, s.Suspects())
		requireEmpty(t, s)
	}
}

// TestDroppedEventsAreForgotten in the end.
func TestDroppedEventsAreForgotten(t *testing.T) {
	t.Parallel()
	var d droppedEvents
	for n := range uint64(3 * maxDroppedEvents) {
		d.add(MessageKey{Sequence: n})
		require.LessOrEqual(t, len(d.young)+len(d.old), 2*maxDroppedEvents)
	}
	require.False(t, d.has(MessageKey{Sequence: 1}))
	require.True(t, d.has(MessageKey{Sequence: 3*maxDroppedEvents - maxDroppedEvents}))
}

// TestAYoungEventIsNotSuspect: members that leave gave it back, which the server counts.
func TestAYoungEventIsNotSuspect(t *testing.T) {
	t.Parallel()
	r := suspecting(jetStream(4))
	r.SuspectAge = 15 * time.Second
	s := New(r, ackWait)
	arrive(s, again(arrived(1, 14), 9), again(arrived(2, 15), 9))
	require.Equal(t, []uint64{1}, runs(s, 15))
	require.EqualValues(t, 2, asked(t, s).Message.Sequence)
}

// TestALateSuspectRuns where the broker takes nothing back: nobody knows when the server would
// send it again.
func TestALateSuspectRuns(t *testing.T) {
	t.Parallel()
	s := New(suspecting(streaming(1)), ackWait)
	arrive(s, arrived(1, 0), again(arrived(2, 0), 5), arrived(3, 0))
	one := runs1(t, s, 1, 0)
	handle(s, one, 6)
	require.Empty(t, runs(s, 6))
	require.Equal(t, []string{" 2", "late 3"}, decided(s), "the mark of the suspect is asked for; the other is skipped")
	s.Marked(s.suspects.current, true)
	handle(s, runs1(t, s, 2, 6), 7)
}
