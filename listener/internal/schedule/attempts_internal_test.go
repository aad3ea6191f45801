package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCountsAttempts: an attempt is a run of a handler here, whatever the server counts.
func TestCountsAttempts(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.MaxAttempts = 100
	r.Backoff = func(int) time.Duration { return time.Hour }
	s := New(r, ackWait)
	for attempt := 1; attempt <= 3; attempt++ { // the server counts 1 each time, as after a restart
		arrive(s, arrived(1, float64(attempt)))
		task := runs1(t, s, 1, float64(attempt))
		require.Equal(t, attempt, task.Attempt)
		fail(s, task, failed(errToday), float64(attempt))
	}
	arrive(s, again(arrived(1, 4), 9)) // it was at another member meanwhile
	task := runs1(t, s, 1, 4)
	require.Equal(t, 4, task.Attempt)
	handle(s, task, 4)
	require.Empty(t, s.attempts.known)
}

// TestDeliveriesAreNoAttempts: an event that the server has sent more often than it may be
// tried, and that no handler here began, is tried as often as any other.
func TestDeliveriesAreNoAttempts(t *testing.T) {
	t.Parallel()
	r := streaming(1)
	r.Backoff = func(int) time.Duration { return time.Hour } // each attempt is another delivery
	s := New(r, ackWait)
	for n := range 30 { // each comes too late for its handler
		arrive(s, again(arrived(1, float64(10*n)), n+1))
		require.Empty(t, runs(s, float64(10*n)+6))
		require.Equal(t, []string{"late 1"}, decided(s))
	}
	for attempt := 1; attempt <= r.MaxAttempts; attempt++ {
		now := float64(1000 + attempt)
		arrive(s, again(arrived(1, now), 30+attempt))
		task := runs1(t, s, 1, now)
		require.Equal(t, attempt, task.Attempt)
		require.Empty(t, decided(s), "it is not given up before")
		fail(s, task, failed(errToday), now)
		if attempt < r.MaxAttempts {
			require.Equal(t, []string{"let go 1 for 1h0m0s"}, decided(s))
		}
	}
	require.Equal(t, []string{"dead letter 1"}, decided(s))

	next := New(r, ackWait) // another process, after a restart
	arrive(next, again(arrived(1, 2000), 35))
	require.Equal(t, 1, runs1(t, next, 1, 2000).Attempt)
}

func TestAttemptHistoriesAreBounded(t *testing.T) {
	t.Parallel()
	var p attemptHistories
	for n := range uint64(10 * maxAttemptHistories) {
		p.set(MessageKey{Sequence: n}, attemptHistory{attempt: 1})
		require.LessOrEqual(t, len(p.order), 2*maxAttemptHistories)
		require.LessOrEqual(t, len(p.known), 2*maxAttemptHistories)
		if n%3 == 0 {
			p.forget(MessageKey{Sequence: n})
		}
	}
	require.Equal(t, 1, p.of(MessageKey{Sequence: 10*maxAttemptHistories - 2}).attempt, "the newest are remembered")
}
