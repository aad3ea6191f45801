package integration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestMaxPayloadChanges at a restart of the server: what is too large from then on is refused
// as such, a publish that was waiting for the server included, and what is not is stored.
func TestMaxPayloadChanges(t *testing.T) {
	t.Parallel()
	type streaming struct{}
	type stored struct{}
	t.Run("NATS Streaming", func(t *testing.T) {
		t.Parallel()
		fresh[streaming](t)
		maxPayloadChanges[streaming](t, nil)
	})
	t.Run("JetStream", func(t *testing.T) {
		t.Parallel()
		subject := fresh[stored](t)
		maxPayloadChanges[stored](t, client.JetStream(jetstream.OnlySubjects(string(subject))))
	})
}

func maxPayloadChanges[Tag any](t *testing.T, broker client.Option) {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	var server *devserver.Server
	begin := func(limit int) {
		var err error
		server, err = devserver.Start(devserver.Port(port), devserver.StoreDir(dir), devserver.MaxPayload(limit))
		require.NoError(t, err)
	}
	t.Cleanup(func() { server.Shutdown() })
	begin(1 << 20)
	opts := []client.Option{quiet()}
	if broker != nil {
		opts = append(opts, broker)
	}
	c, err := client.Build(deadline(t), server.ClusterID(), "payloads", server.URL(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	p, err := publisher.New[note[Tag]](c)
	require.NoError(t, err)
	large, small := note[Tag]{Text: strings.Repeat("x", 20_000)}, note[Tag]{Text: "small"}
	is := func(state client.State) {
		require.Eventually(t, func() bool { return c.Status().State == state }, patience, 10*time.Millisecond)
	}
	require.NoError(t, p.Publish(deadline(t), large))

	server.Shutdown()
	is(client.Reconnecting)
	waiting, err := p.PublishAsync(deadline(t), large)
	require.NoError(t, err)
	begin(10_000)
	for _, err := range []error{waiting.Wait(deadline(t)), p.Publish(deadline(t), large)} {
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorIs(t, err, publisher.ErrTooLarge)
		require.ErrorContains(t, err, "max_payload")
	}
	require.NoError(t, p.Publish(deadline(t), small))

	server.Shutdown()
	is(client.Reconnecting)
	begin(1 << 20)
	require.Eventually(t, func() bool { return p.Publish(deadline(t), large) == nil }, patience, 10*time.Millisecond)
}
