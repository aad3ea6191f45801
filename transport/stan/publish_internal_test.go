package stan

import (
	"errors"
	"math"
	"testing"
	"time"

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
		stan.ErrTimeout:          transport.ErrOutcomeUnknown,
		stan.ErrConnectionClosed: transport.ErrOutcomeUnknown,
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
		err := answered(cause)
		require.ErrorIs(t, err, outcome)
		require.ErrorIs(t, err, cause)
		require.Equal(t, errors.Is(outcome, transport.ErrNotStored), errors.Is(err, transport.ErrRefused), "%v", err)
	}
	require.ErrorContains(t, answered(errors.New("too many channels")), "too many channels; raise the server's limit of channels (-mc")
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

// TestThePublishersDeadlineDecides, however long it is: stan.go's own waits, for a
// confirmation and for a place among those in flight, are never reached before.
func TestThePublishersDeadlineDecides(t *testing.T) {
	t.Parallel()
	var o stan.Options
	for _, opt := range (&conn{}).stanOptions() {
		require.NoError(t, opt(&o))
	}
	require.GreaterOrEqual(t, o.AckTimeout, time.Hour)
	require.GreaterOrEqual(t, o.MaxPubAcksInflight, math.MaxInt32/2)
	require.ErrorContains(t, answered(stan.ErrTimeout), "no confirmation from the server within 1h0m0s: stan: publish ack timeout")
}
