package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
	require.Equal(t, 9, task.Attempt)
	handle(s, task, 4)
	require.Empty(t, s.attempts.known)
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
