package integration_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamBusyThroughRestarts: a server that shuts down in order stops JetStream before it
// closes its clients. A busy listener asks for events in that moment, is told that nobody
// takes its request, and looks for its consumer; what it asks for is lost with the link. It
// asks again when the link is back, and nothing is told but that the link was lost.
func TestJetStreamBusyThroughRestarts(t *testing.T) {
	t.Parallel()
	const restarts, each = 3, 100
	type tag struct{}
	subject := string(fresh[tag](t))
	server := startServer(t, devserver.StoreDir(t.TempDir())).server
	s := &jetStream{url: server.URL(), name: "restarts"}
	c, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(subject, "dead.*."+subject)})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	events := watch(t, c)
	in := newInbox()
	listen(t, c, group(), func(_ context.Context, e note[tag], d listener.Delivery) error {
		time.Sleep(2 * time.Millisecond) // the work that it is busy with; nothing is waited for
		in.put(e.N, d)
		return nil
	}, listener.MaxInFlight(4))
	for n := range restarts {
		publishFrom[tag](t, c, n*each+1, (n+1)*each)
		handled := in.take(t, 10)
		require.NoError(t, server.Restart())
		events.until(t, client.EventReconnected)
		handled = append(handled, in.take(t, each-len(handled))...)
		slices.Sort(handled)
		require.Equal(t, countFrom(n*each+1, (n+1)*each), handled)
	}
	closeClient(t, c)
	_, rest := events.until(t, client.EventClosed)
	require.Empty(t, rest, "the consumer was there all the time")
}
