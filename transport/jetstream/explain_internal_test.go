package jetstream

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestExplain: in JetStream's words, and that there is no connection is neither a refusal nor
// a missing stream.
func TestExplain(t *testing.T) {
	t.Parallel()
	c := &conn{cfg: transport.Config{ClusterID: "events", URL: "nats://me:hunter2@host"}, prefix: js.DefaultAPIPrefix}
	for _, err := range []error{nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrDisconnected, errLinkLost} {
		got := c.explain(fmt.Errorf("update stream: %w", err))
		require.ErrorIs(t, got, transport.ErrConnectionLost)
		require.ErrorIs(t, got, err)
		require.NotErrorIs(t, got, transport.ErrRefused)
		require.NotErrorIs(t, got, transport.ErrNoCluster)
		require.ErrorContains(t, got, "there is no connection to the NATS server at nats://***@host")
		require.NotContains(t, got.Error(), "buffer", "nothing is buffered")
	}
	for err, text := range map[error]string{
		context.DeadlineExceeded:  `JetStream at nats://***@host did not answer for stream "events"`,
		js.ErrJetStreamNotEnabled: "the server at nats://***@host answers, but has no JetStream",
		js.ErrStreamNotFound:      `stream "events" is gone at nats://***@host`,
	} {
		got := c.explain(err)
		require.ErrorIs(t, got, transport.ErrNoCluster)
		require.ErrorIs(t, got, err)
		require.ErrorContains(t, got, text)
		require.NotContains(t, got.Error(), "no such cluster")
	}
	require.ErrorIs(t, c.explain(&js.APIError{ErrorCode: 10047}), transport.ErrRefused)
}
