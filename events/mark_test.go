package events_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

func TestMarksAreNoDeadLetters(t *testing.T) {
	t.Parallel()
	require.Equal(t, "dead._begun.payments", string(events.MarkSubject("payments")))
	require.True(t, events.IsMark(events.MarkSubject("a.b")))
	for _, group := range []string{"payments", "begun", "_beg", "_begun2", "a._begun", "_begun", "_begun.a"} {
		require.False(t, events.IsMark(events.DeadLetterSubject(group, "_begun.a")), group)
	}
}
