package integration_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/publisher"
)

// TestJetStreamAnswerLost: a publish whose answer never comes is sent again, and
// its message ID keeps it from being stored twice.
func TestJetStreamAnswerLost(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	stream := s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}, NoAck: false})
	c := s.connect(t, subject)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)

	// Without confirmations for a while, as if each had gone down with a leader.
	config := s.info(t).Config
	config.NoAck = true
	_, err = s.raw.UpdateStream(deadline(t), config)
	require.NoError(t, err)
	pending := make([]*publisher.Pending, 10)
	for n := range pending {
		pending[n], err = p.PublishAsync(deadline(t), note[tag]{N: n})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return s.info(t).State.Msgs == 10 }, patience, 10*time.Millisecond)
	for _, one := range pending {
		require.ErrorIs(t, one.Err(), publisher.ErrPending)
	}
	config.NoAck = false
	_, err = s.raw.UpdateStream(deadline(t), config)
	require.NoError(t, err)
	for _, one := range pending {
		require.NoError(t, one.Wait(deadline(t)))
	}
	info, err := stream.Info(deadline(t))
	require.NoError(t, err)
	require.Equal(t, uint64(10), info.State.Msgs)
	require.Equal(t, nats.CONNECTED, s.nc.Status())
}
