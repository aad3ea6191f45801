package jetstream

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestIsStored: an answer that is recognised is one that means that when decoded.
func TestIsStored(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{
		`{"stream":"ticketing", "seq":12}`:                                                       true,
		`{"stream":"ticketing","seq":12,"duplicate":true}`:                                       true,
		`{"stream":"ticketing","seq":12,"domain":"hub"}`:                                         true,
		`{"error":{"code":503,"err_code":10077,"description":"x"},"stream":"ticketing","seq":0}`: false,
		`{"stream":"ticketing","seq":0,"error":{"code":503,"err_code":10077,"description":"x"}}`: false,
		`{"type":"x","error":{"code":400,"err_code":10060,"description":"expected stream"}}`:     false,
		`{"stream":"ticketing","seq":12`:                                                         false, // cut short
		` {"stream":"ticketing","seq":12}`:                                                       false, // it is decoded
		`{}`:                                                                                     false,
		``:                                                                                       false,
	} {
		require.Equal(t, want, isStored([]byte(answer)), answer)
		var ack pubAck
		err := json.Unmarshal([]byte(answer), &ack)
		if isStored([]byte(answer)) {
			require.NoError(t, err)
			require.Nil(t, ack.Error)
			require.NotEmpty(t, ack.Stream)
		}
	}
}

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
