package stan

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestWhatAFailedPublishDid: not stored only where that is certain.
func TestWhatAFailedPublishDid(t *testing.T) {
	t.Parallel()
	require.NoError(t, answered(nil))
	for cause, outcome := range map[error]error{
		stan.ErrTimeout:                       transport.ErrOutcomeUnknown,
		stan.ErrConnectionClosed:              transport.ErrOutcomeUnknown,
		errors.New("stan: too many channels"): transport.ErrNotStored,
	} {
		err := answered(cause)
		require.ErrorIs(t, err, outcome)
		require.ErrorIs(t, err, cause)
	}
	for cause, outcome := range map[error]error{
		nats.ErrReconnectBufExceeded:     transport.ErrNotStored,
		nats.ErrConnectionClosed:         transport.ErrNotStored,
		nats.ErrMaxPayload:               transport.ErrNotStored,
		stan.ErrConnectionClosed:         transport.ErrOutcomeUnknown,
		errors.New("write: broken pipe"): transport.ErrOutcomeUnknown,
	} {
		err := notSent(cause)
		require.ErrorIs(t, err, outcome)
		require.ErrorIs(t, err, cause)
	}
}
