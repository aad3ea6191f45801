//go:build cluster

package integration_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamClusterWithoutLeader: what needs a leader waits for it, is told as degraded, and
// is no refusal when its context ends; Build tries again.
func TestJetStreamClusterWithoutLeader(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	nodes, err := devserver.StartJetStreamCluster()
	require.NoError(t, err)
	t.Cleanup(nodes.Shutdown)
	build := func(ctx context.Context) (*client.Client, error) {
		return client.Build(ctx, nodes.ClusterID(), "test-"+rand.Text(), nodes.URL(), quiet(),
			client.JetStream(jetstream.Replicas(3), jetstream.OnlySubjects(subject, "dead.*."+subject)))
	}
	c, err := build(deadline(t))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	old := group()
	require.NoError(t, listen(t, c, old, into[tag](newInbox())).end(t))
	gone, err := listener.New(c, old, into[tag](newInbox()))
	require.NoError(t, err)
	box := newInbox()
	begun, err := listener.New(c, group(), into[tag](box))
	require.NoError(t, err)

	require.NoError(t, nodes.Kill(0))
	require.NoError(t, nodes.Kill(1))
	s := streamOn(t, nodes.URL())
	require.Eventually(t, func() bool { // until the last node has found out that it is alone
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.raw.CreateStream(ctx, js.StreamConfig{Name: "other", Subjects: []string{"other"}})
		var api *js.APIError
		return errors.As(err, &api) && api.ErrorCode == 10008
	}, patience, 10*time.Millisecond)

	brief, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = gone.DeleteDurable(brief)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, transport.ErrRefused)
	_, err = build(brief)
	require.Error(t, err)
	ended, built := make(chan error, 2), make(chan *client.Client, 1)
	listening, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- begun.Listen(listening) }()
	go func() { ended <- gone.DeleteDurable(deadline(t)) }()
	go func() {
		another, err := build(deadline(t))
		assert.NoError(t, err)
		built <- another
	}()
	require.Eventually(t, func() bool { return c.Status().State == client.Degraded }, patience, 10*time.Millisecond)

	require.NoError(t, nodes.Restart(0))
	require.NoError(t, nodes.Restart(1))
	require.NoError(t, nodes.WaitReady(deadline(t)))
	require.NoError(t, <-ended, "DeleteDurable")
	closeClient(t, <-built)
	require.Eventually(t, func() bool { return c.Status().State == client.Connected }, patience, 10*time.Millisecond)
	publish[tag](t, c, 1)
	require.Equal(t, []int{1}, box.take(t, 1))
	stop()
	require.NoError(t, <-ended)
}
