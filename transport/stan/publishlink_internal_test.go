package stan

import (
	"math"
	"testing"

	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// TestAnswers: an answer is for the publish whose mark it has, and says what the
// server says. What has none is not one.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "too many channels"} {
		for _, ticket := range []transport.Ticket{1, 36, math.MaxUint64} {
			data, err := (&pb.PubAck{Guid: mark(ticket, 7), Error: text}).Marshal()
			require.NoError(t, err)
			got, ok := readAnswer(data)
			require.True(t, ok)
			require.Equal(t, ticket, got.ticket)
			require.Equal(t, outbox.Attempt(7), got.attempt)
			if text == "" {
				require.NoError(t, got.err)
			} else {
				require.EqualError(t, got.err, text)
			}
		}
	}
	for _, guid := range []string{"", "1", "1.", ".1", "!.1", "1.!"} {
		data, err := (&pb.PubAck{Guid: guid}).Marshal()
		require.NoError(t, err)
		_, ok := readAnswer(data)
		require.False(t, ok, guid)
	}
	_, ok := readAnswer([]byte{0xff})
	require.False(t, ok)
}

// TestWhatIsReadOutOfStanGo: another stan.go than the one that is known is an error
// that says so.
func TestWhatIsReadOutOfStanGo(t *testing.T) {
	t.Parallel()
	type other struct{ stan.Conn }
	for _, sc := range []stan.Conn{nil, other{}, &other{}} {
		_, _, err := addressOf(sc)
		require.ErrorIs(t, err, transport.ErrUnsupported)
		require.ErrorContains(t, err, "stan.go v0.10.4")
	}
}
