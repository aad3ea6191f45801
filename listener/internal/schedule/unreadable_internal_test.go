package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

// TestUnreadableInARow: each event counts once, and one that can be read ends the row.
func TestUnreadableInARow(t *testing.T) {
	t.Parallel()
	for name, letters := range map[string]bool{"dead letters": true, "no dead letters": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := streaming(1)
			r.DeadLetters = letters
			s := New(r, ackWait)
			for n := range uint64(3) {
				task := arrived(n+1, 0)
				task.Failed = unreadable(errToday)
				arrive(s, task)
			}
			for _, e := range s.TakeEffects() {
				require.Equal(t, events.DeadLetterUndecodable, e.Unreadable)
				if letters {
					s.DeadLetterNotStored(e.Task, at(1))
				}
			}
			n, sequence, last := s.UnreadableInARow()
			require.Equal(t, 3, n)
			require.EqualValues(t, 3, sequence)
			require.Equal(t, errToday, last.Err)
			s.TakeEffects()

			again := again(arrived(1, 6), 2)
			again.Failed = unreadable(errToday)
			arrive(s, again)
			for _, e := range s.TakeEffects() {
				require.Empty(t, e.Unreadable, "that is known")
			}
			n, _, _ = s.UnreadableInARow()
			require.Equal(t, 3, n, "it came again")

			s.Readable()
			invalid := arrived(4, 7)
			invalid.Failed = &Failure{Err: errToday, Reason: events.DeadLetterInvalid}
			arrive(s, invalid)
			require.Equal(t, events.DeadLetterInvalid, s.TakeEffects()[0].Unreadable)
			n, sequence, _ = s.UnreadableInARow()
			require.Equal(t, 1, n)
			require.EqualValues(t, 4, sequence)
			require.False(t, s.StoppedAtUnreadable())
		})
	}
}

// TestStopsAtUnreadable: from there on nothing becomes a dead letter because it can't be read.
func TestStopsAtUnreadable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rules Rules
		last  []string
	}{
		"streaming": {streaming(2), []string{"hold 3", "drop 3"}},
		"jetstream": {jetStream(2), []string{"nak 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := test.rules
			r.StopAtUnreadable = 3
			s := New(r, ackWait)
			arrive(s, arrived(1, 0), arrived(2, 0), arrived(3, 0), arrived(4, 0))
			require.Len(t, runs(s, 0), 2)
			fail(s, busy(s, 1), *unreadable(errToday), 0)
			fail(s, busy(s, 2), *unreadable(errToday), 0)
			require.False(t, s.StoppedAtUnreadable())
			require.Equal(t, []string{"dead letter 1", "dead letter 2"}, decided(s))
			require.Len(t, runs(s, 0), 2)
			four := busy(s, 4)
			fail(s, busy(s, 3), *unreadable(errToday), 0)
			require.True(t, s.StoppedAtUnreadable())
			s.Drain(at(0))
			require.Equal(t, test.last, decided(s))
			fail(s, four, *unreadable(errToday), 0)
			for _, e := range s.TakeEffects() {
				require.NotEqual(t, StoreDeadLetter, e.Do)
			}
		})
	}
}
