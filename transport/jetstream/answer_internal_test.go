package jetstream

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestAnswerTokens: an answer is for the attempt whose token it has.
func TestAnswerTokens(t *testing.T) {
	t.Parallel()
	ticket, attempt, ok := readAnswerToken(answerSubject("", 1<<63, 7))
	require.True(t, ok)
	require.Equal(t, transport.Ticket(1<<63), ticket)
	require.EqualValues(t, 7, attempt)
	for _, token := range []string{"", "1", "1-", "-1", "!-1", "1-!"} {
		_, _, ok := readAnswerToken(token)
		require.False(t, ok, token)
	}
}
