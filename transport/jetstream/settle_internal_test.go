package jetstream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/jetstream/internal/consuming"
)

// TestAckNotSent: a message whose acknowledgement can't be sent comes again, perhaps to
// another member, and takes no room until then.
func TestAckNotSent(t *testing.T) {
	t.Parallel()
	machine := consuming.New(consuming.Config{MaxInFlight: 1, Shared: true})
	machine.Begin(time.Now(), consuming.Info{}, time.Now())
	machine.Effects(nil)
	sub := &subscription{Ending: lifecycle.NewEnding(), conn: &conn{}, machine: machine}
	epoch, handUp := machine.Delivered(time.Now(), 1, consuming.Message{Sequence: 1, ConsumerSequence: 1, Reply: "reply"})
	require.True(t, handUp)
	s := &settler{sub: sub, sequence: 1, reply: "reply", epoch: epoch}
	require.ErrorContains(t, s.Ack(), "acknowledgement not sent", "there is no connection")
	sub.alarm.Stop()
	_, handUp = machine.Delivered(time.Now(), 1, consuming.Message{Sequence: 2, ConsumerSequence: 2})
	require.True(t, handUp)
	sub.Finish(transport.ErrClosed)
	require.ErrorIs(t, s.Ack(), transport.ErrSubscriptionClosed)
}
