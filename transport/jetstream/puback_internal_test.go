package jetstream

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadAnswer: only an answer of the client's own stream decides a publish.
func TestReadAnswer(t *testing.T) {
	t.Parallel()
	none, hub := newOwnStream("ticketing", ""), newOwnStream("ticketing", "hub")
	for _, test := range []struct {
		answer    string
		none, hub verdict
	}{
		{`{"stream":"ticketing","seq":12}`, storedAnswer, foreignAnswer},
		{`{"stream":"ticketing", "seq":12}`, storedAnswer, foreignAnswer}, // of older servers
		{`{"stream":"ticketing","seq":12,"duplicate":true}`, storedAnswer, foreignAnswer},
		{`{"stream":"ticketing","domain":"hub","seq":12}`, foreignAnswer, storedAnswer},
		{`{"stream":"ticketing","seq":12,"domain":"hub"}`, foreignAnswer, storedAnswer},
		{`{"stream":"ticketing","domain":"leaf","seq":12}`, foreignAnswer, foreignAnswer},
		{`{"stream":"other","seq":12}`, foreignAnswer, foreignAnswer},
		{`{"stream":"ticketing","seq":0}`, foreignAnswer, foreignAnswer},
		{`{"stream":"ticketing"}`, foreignAnswer, foreignAnswer},
		{`{"stream":"ticketing","seq":-1}`, foreignAnswer, foreignAnswer},
		{`{"stream":"ticketing","seq":12`, foreignAnswer, foreignAnswer}, // cut short
		{`{"stream":"ticketing","seq":12,"stream":"other"}`, foreignAnswer, foreignAnswer},
		{`{"stream":"ticketing","seq":99999999999999999999}`, foreignAnswer, foreignAnswer},
		{`{"error":{"code":503,"err_code":10077,"description":"x"},"stream":"ticketing","seq":0}`, refusedAnswer, refusedAnswer},
		{`{"stream":"ticketing","seq":0,"error":{"code":503,"err_code":10077,"description":"x"}}`, refusedAnswer, refusedAnswer},
		{`{"error":{"code":400,"err_code":10060,"description":"expected stream"},"stream":"other","seq":0}`, foreignAnswer, foreignAnswer},
		{`{"error":{"code":400,"err_code":10060,"description":"expected stream"}}`, foreignAnswer, foreignAnswer},
		{`{}`, foreignAnswer, foreignAnswer},
		{`[]`, foreignAnswer, foreignAnswer},
		{`null`, foreignAnswer, foreignAnswer},
		{`ok`, foreignAnswer, foreignAnswer},
		{``, foreignAnswer, foreignAnswer},
	} {
		got, _ := none.read([]byte(test.answer))
		require.Equal(t, test.none, got, "without a domain: %s", test.answer)
		got, _ = hub.read([]byte(test.answer))
		require.Equal(t, test.hub, got, "in domain hub: %s", test.answer)
	}
}

// FuzzReadAnswer: what is recognised without decoding means the same when it is decoded, and
// a refusal always has an error.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"stream":"ticketing","seq":12}`))
	f.Add([]byte(`{"stream":"ticketing","seq":18446744073709551615}`))
	f.Add([]byte(`{"stream":"ticketing","seq":0,"error":{"code":503,"err_code":10077}}`))
	f.Add([]byte(`{}`))
	own := newOwnStream("ticketing", "")
	f.Fuzz(func(t *testing.T, answer []byte) {
		var ack pubAck
		err := json.Unmarshal(answer, &ack)
		switch verdict, read := own.read(answer); verdict {
		case storedAnswer:
			require.NoError(t, err)
			require.Equal(t, "ticketing", ack.Stream)
			require.NotZero(t, ack.Sequence)
			require.Nil(t, ack.Error)
		case refusedAnswer:
			require.NotNil(t, read.Error)
		default:
		}
	})
}
