package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/session"
)

func TestTurn(t *testing.T) {
	t.Parallel()
	var turn session.Turn
	now := time.Unix(1000, 0)
	take := func(who string, after time.Duration) bool { return turn.Take(who, now.Add(after), time.Minute) }
	require.True(t, take("a", 0))
	require.True(t, take("a", 0), "it has it")
	require.False(t, take("b", time.Second))
	turn.End("b")
	require.False(t, take("b", time.Second), "it is not its own to end")
	turn.End("a")
	require.False(t, take("a", 2*time.Second), "b is next")
	require.True(t, take("b", 2*time.Second))
	require.False(t, take("a", 61*time.Second))
	require.True(t, take("a", 62*time.Second), "b has had it for long enough")
	turn.End("b")
	require.False(t, take("b", 63*time.Second), "a has it now")
	turn.End("a")
	require.True(t, take("c", 200*time.Second), "b does not ask any more")
}
