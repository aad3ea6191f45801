package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

// TestGivesUpUnreadableEvents: an event that can't be read is given up at once. When its
// dead letter could not be stored and it comes again, its handler does not run.
func TestGivesUpUnreadableEvents(t *testing.T) {
	t.Parallel()
	s := New(streaming(1), ackWait)
	unread := arrived(1, 0)
	unread.Failed = unreadable(errToday)
	arrive(s, unread)
	require.Equal(t, []string{"dead letter 1"}, decided(s))
	require.Equal(t, events.DeadLetterUndecodable, unread.GiveUp.Reason)
	arrive(s, again(arrived(1, 2), 2))
	require.Empty(t, decided(s), "it is on its way")
	s.DeadLetterNotStored(unread, at(3))
	require.Len(t, decided(s), 1)
	require.Empty(t, runs(s, 3.1))
	require.Empty(t, runs(s, 4))
	require.Equal(t, []string{"dead letter 1"}, decided(s))
	s.DeadLetterNotStored(unread, at(7))
	require.Contains(t, decided(s)[0], "let go 1")
	requireEmpty(t, s)

	arrive(s, again(arrived(1, 10), 3))
	require.Equal(t, []string{"dead letter 1"}, decided(s))
	require.Empty(t, runs(s, 10))
}

// TestWithoutDeadLetters: an event that is given up is tried again, once an ack wait, and
// counts as stuck.
func TestWithoutDeadLetters(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rules{"nak 1 for 5s": jetStream(1), "let go 1 for 5s": streaming(1)} {
		r.DeadLetters = false
		s := New(r, ackWait)
		for n := range 3 {
			arrive(s, again(arrived(1, float64(5*n)), n+1))
			fail(s, runs1(t, s, 1, float64(5*n)), rejected(errToday), float64(5*n))
			require.Equal(t, []string{name}, decided(s))
			require.Equal(t, 1, s.stuck.count(at(float64(5*n))))
		}
		require.Zero(t, s.stuck.count(at(21)), "another member has it")
		arrive(s, again(arrived(1, 25), 4))
		handle(s, runs1(t, s, 1, 25), 25)
		require.Zero(t, s.stuck.count(at(25)))
	}
}
