package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWarnings: of each attempt once, at 80 % of the ack wait where that can't be
// extended, and a second after the handler's timeout.
func TestWarnings(t *testing.T) {
	t.Parallel()
	r := streaming(2)
	r.HandlerTimeout = 2 * time.Second
	s := New(r, ackWait)
	arrive(s, arrived(1, 0))
	one := runs1(t, s, 1, 0.5)
	due, next := s.Warnings(at(3))
	require.Empty(t, due)
	require.Equal(t, at(3.5), next)
	due, next = s.Warnings(at(3.5))
	require.Equal(t, []Warning{{one, TimeoutIgnored}}, due)
	require.Equal(t, at(4), next)
	due, next = s.Warnings(at(4))
	require.Equal(t, []Warning{{one, AckWaitNearlyUsed}}, due)
	require.Zero(t, next)
	due, _ = s.Warnings(at(9))
	require.Empty(t, due)

	r.CanExtend = true
	s = New(r, ackWait)
	arrive(s, arrived(1, 0))
	one = runs1(t, s, 1, 0)
	due, next = s.Warnings(at(9))
	require.Equal(t, []Warning{{one, TimeoutIgnored}}, due, "its ack wait is extended")
	require.Zero(t, next)
}

// TestShortAttemptThatBeginsLate within the ack wait is not warned of: the handler has not used
// it up. One that goes on is.
func TestShortAttemptThatBeginsLate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ begun, warned float64 }{{3, 4}, {3.5, 4.25}, {4.5, 4.75}} {
		s := New(streaming(2), ackWait)
		arrive(s, arrived(1, 0))
		one := runs1(t, s, 1, tc.begun)
		due, next := s.Warnings(at(tc.warned - 0.01))
		require.Empty(t, due, tc.begun)
		require.Equal(t, at(tc.warned), next)
		due, _ = s.Warnings(next)
		require.Equal(t, []Warning{{one, AckWaitNearlyUsed}}, due)
	}
}

// TestCrowded: more events are ready than can begin within the ack wait.
func TestCrowded(t *testing.T) {
	t.Parallel()
	s := New(streaming(2), ackWait)
	for sequence := range uint64(10) {
		arrive(s, arrived(sequence+1, 0))
	}
	require.False(t, s.Crowded(time.Second), "five rounds of a second each")
	arrive(s, arrived(11, 0))
	require.True(t, s.Crowded(time.Second))
}
