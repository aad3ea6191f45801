package backoff_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/backoff"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	p := backoff.Policy{First: 100 * time.Millisecond, Max: time.Second}
	for attempt, full := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond, 4: 800 * time.Millisecond,
		5: time.Second, 6: time.Second, 1_000_000: time.Second,
	} {
		require.Equal(t, full, p.Full(attempt))
		for range 100 {
			d := p.Delay(attempt)
			require.GreaterOrEqual(t, d, full/2, "attempt %d", attempt)
			require.LessOrEqual(t, d, full, "attempt %d", attempt)
		}
	}
	require.Zero(t, backoff.Policy{}.Delay(3))
}
