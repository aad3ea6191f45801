package stan

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestWhatAFailedPublishDid: not stored only where that is certain.
func TestWhatAFailedPublishDid(t *testing.T) {
	t.Parallel()
	for cause, outcome := range map[error]error{
		// The server's answers before it stores a message,
		errors.New("stan: invalid publish request"):                                                         transport.ErrNotStored,
		errors.New("stan: channel is being deleted"):                                                        transport.ErrNotStored,
		errors.New(`rejecting channel "A" because channel "a" alreay exists (different cases not allowed)`): transport.ErrNotStored,
		errors.New("too many channels"):                                                                     transport.ErrNotStored,
		// and those that may come after it.
		errors.New("node is not the leader"):                    transport.ErrOutcomeUnknown,
		errors.New("leadership lost while committing log"):      transport.ErrOutcomeUnknown,
		errors.New("timed out enqueuing operation"):             transport.ErrOutcomeUnknown,
		errors.New("raft is already shutdown"):                  transport.ErrOutcomeUnknown,
		errors.New("write msgs.1.dat: no space left on device"): transport.ErrOutcomeUnknown,
	} {
		notStored, err := explainAnswer(cause)
		require.Equal(t, errors.Is(outcome, transport.ErrNotStored), notStored, "%v", cause)
		require.ErrorIs(t, err, cause)
		require.Equal(t, errors.Is(outcome, transport.ErrNotStored), errors.Is(err, transport.ErrRefused), "%v", err)
	}
	_, told := explainAnswer(errors.New("too many channels"))
	require.ErrorContains(t, told, "too many channels; raise the server's limit of channels (-mc")

	// An error of the call itself is final only where another attempt can't help.
	for cause, want := range map[error]struct{ unsent, final bool }{
		nil:                              {},
		nats.ErrReconnectBufExceeded:     {unsent: true},
		nats.ErrMaxPayload:               {final: true},
		nats.ErrBadSubject:               {final: true},
		nats.ErrConnectionClosed:         {},
		errors.New("write: broken pipe"): {},
	} {
		unsent, final := notSent(cause)
		require.Equal(t, want.unsent, unsent, "%v", cause)
		require.Equal(t, want.final, final != nil, "%v", cause)
		if final != nil {
			require.ErrorIs(t, final, cause)
		}
	}
}
