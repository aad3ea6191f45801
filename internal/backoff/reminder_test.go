package backoff_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/backoff"
)

func TestReminder(t *testing.T) {
	t.Parallel()
	r := backoff.Reminder{Intervals: backoff.Policy{First: time.Second, Max: 5 * time.Second}}
	begin := time.Now()
	var due []int
	for s := range 20 {
		if r.Due(begin.Add(time.Duration(s)*time.Second), "away") {
			due = append(due, s)
		}
	}
	require.Equal(t, []int{0, 1, 3, 7, 12, 17}, due)
	now := begin.Add(20 * time.Second)
	require.True(t, r.Due(now, "refused"), "it is another thing")
	require.False(t, r.Due(now, "refused"))
	require.Equal(t, now.Add(time.Second), r.Next())
	require.True(t, r.Due(now.Add(time.Second), "refused"), "which begins anew")
}
