package integration_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/transport/jetstream"
)

// watched collects what happens to a client.
type watched struct{ events chan client.Event }

func watch(t *testing.T, c *client.Client) watched {
	t.Helper()
	w := watched{events: make(chan client.Event, 1000)}
	all := c.Watch(context.Background())
	go func() {
		defer close(w.events)
		for e := range all {
			w.events <- e
		}
	}()
	return w
}

// until returns the next event of that kind, and the others that came before it.
func (w watched) until(t *testing.T, kind client.EventKind) (e client.Event, before []client.Event) {
	t.Helper()
	over := time.After(patience)
	for {
		select {
		case e, ok := <-w.events:
			require.True(t, ok, "closed before the event %q", kind)
			if e.Kind == kind {
				return e, before
			}
			before = append(before, e)
		case <-over:
			require.FailNow(t, "nothing was told", "%v", kind)
		}
	}
}

// TestJetStreamHealth: of a server that runs, is shut down, and of a client that is
// closed.
func TestJetStreamHealth(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	server := startServer(t).server
	s := &jetStream{url: server.URL(), name: "health"}
	health(t, server, s.connect(t, subject))
}

// TestStreamingHealth is the same over NATS Streaming.
func TestStreamingHealth(t *testing.T) {
	t.Parallel()
	server := startServer(t).server
	c, err := client.Build(deadline(t), server.ClusterID(), "health", server.URL(), quiet())
	require.NoError(t, err)
	health(t, server, c)
}

func health(t *testing.T, server *devserver.Server, c *client.Client) {
	t.Helper()
	events := watch(t, c)
	require.NoError(t, c.Healthy(deadline(t)))
	require.NoError(t, c.Healthy(context.Background()), "which has no deadline")

	server.Shutdown()
	events.until(t, client.EventDisconnected)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	started := time.Now()
	err := c.Healthy(ctx)
	require.Less(t, time.Since(started), 2*time.Second)
	require.ErrorContains(t, err, "reconnecting for")
	require.Equal(t, client.Reconnecting, c.Status().State)
	require.Error(t, c.Status().Err)

	closing, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = c.Close(closing) // its error may be that the server can't be told
	require.ErrorIs(t, c.Healthy(deadline(t)), client.ErrClosed)
	_, before := events.until(t, client.EventClosed)
	require.Empty(t, before)
}

// TestJetStreamTellsOfARestart that keeps the store, in order, and once in the log.
func TestJetStreamTellsOfARestart(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	server := startServer(t, devserver.StoreDir(t.TempDir())).server
	s := &jetStream{url: server.URL(), name: "restart"}
	log := &lockedBuffer{}
	c, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(subject, "dead.*."+subject)}, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	events := watch(t, c)
	in := newInbox()
	listen(t, c, group(), into[tag](in))
	began := time.Now()
	require.NoError(t, server.Restart())
	lost, _ := events.until(t, client.EventDisconnected)
	require.Error(t, lost.Err)
	back, _ := events.until(t, client.EventReconnected)
	require.Equal(t, server.URL(), back.Server)
	require.False(t, lost.Time.Before(began))
	require.False(t, back.Time.Before(lost.Time))
	publish[tag](t, c, 1)
	in.take(t, 1)
	require.NoError(t, c.Healthy(deadline(t)))
	require.NotEqual(t, client.Reconnecting, c.Status().State)
	closeClient(t, c)
	_, rest := events.until(t, client.EventClosed)
	for _, e := range rest {
		require.NotEqual(t, client.EventStoreLost, e.Kind)
	}
	for _, text := range []string{"connection to the NATS server lost; reconnecting", "reconnected to the NATS server", "msg=closed"} {
		require.Equal(t, 1, strings.Count(log.String(), text), text)
	}
}

// TestJetStreamTellsOfALostStore, which is made again, empty.
func TestJetStreamTellsOfALostStore(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	server := startServer(t).server
	s := &jetStream{url: server.URL(), name: "empty"}
	c := s.connect(t, subject)
	events := watch(t, c)
	in := newInbox()
	listen(t, c, group(), into[tag](in))
	publish[tag](t, c, 1)
	in.take(t, 1)
	require.NoError(t, server.RestartEmpty())
	lost, _ := events.until(t, client.EventStoreLost)
	require.ErrorContains(t, lost.Err, "what it held is lost")
}

// TestJetStreamDegradedWithoutAConsumer that the client must not make itself: until
// somebody else makes it again, or the listener ends.
func TestJetStreamDegradedWithoutAConsumer(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	owner := s.connect(t, subject)
	name := group()
	in := newInbox()
	makeConsumer := func() { require.NoError(t, listen(t, owner, name, into[tag](in)).end(t)) }
	makeConsumer()
	c, err := s.build(t, "bound", []jetstream.Option{jetstream.OnlySubjects(subject, "dead.*."+subject), jetstream.BindOnly()})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	events := watch(t, c)
	bound := listen(t, c, name, into[tag](in))

	consumer := jetstream.ConsumerName(subject, name, "")
	require.NoError(t, s.raw.DeleteConsumer(deadline(t), s.name, consumer))
	degraded, _ := events.until(t, client.EventDegraded)
	require.Contains(t, degraded.Reason, consumer)
	status := c.Status()
	require.Equal(t, client.Degraded, status.State)
	require.Len(t, status.Reasons, 1)
	require.Equal(t, degraded.Reason, status.Reasons[0].Text)
	require.Error(t, status.Reasons[0].Err)
	require.NoError(t, c.Healthy(deadline(t)), "the rest of it works")

	makeConsumer()
	recovered, before := events.until(t, client.EventRecovered)
	require.Empty(t, before, "it is told once, however often it was tried")
	require.Equal(t, degraded.Reason, recovered.Reason)
	require.Equal(t, client.Connected, c.Status().State)
	publish[tag](t, c, 1)
	in.take(t, 1)

	require.NoError(t, s.raw.DeleteConsumer(deadline(t), s.name, consumer))
	events.until(t, client.EventDegraded)
	_ = bound.end(t) // the server may have nobody to confirm it
	events.until(t, client.EventRecovered)
	require.Equal(t, client.Connected, c.Status().State)
}

// TestServersDiscovered: a member of the cluster joins that the client did not know.
func TestServersDiscovered(t *testing.T) {
	t.Parallel()
	cluster, err := devserver.StartJetStreamCluster()
	require.NoError(t, err)
	t.Cleanup(cluster.Shutdown)
	ctx := deadline(t)
	require.NoError(t, cluster.WaitReady(ctx))
	require.NoError(t, cluster.Kill(2)) // so that the client has never heard of it
	require.NoError(t, cluster.WaitReady(ctx))
	first, _, _ := strings.Cut(cluster.URL(), ",") // of node 0
	require.Eventually(t, func() bool {
		nc, err := nats.Connect(first)
		if err != nil {
			return false
		}
		defer nc.Close()
		return len(nc.Servers()) == 2
	}, patience, 10*time.Millisecond, "node 0 tells of two")
	c, err := client.Build(ctx, cluster.ClusterID(), "discoverer", first, quiet(), client.JetStream())
	require.NoError(t, err)
	w := watch(t, c)
	require.NoError(t, cluster.Restart(2))
	e, _ := w.until(t, client.EventServersDiscovered)
	require.Contains(t, e.Server, "nats://")
	require.NoError(t, c.Close(ctx))
}

// TestLameDuck: the server says that it is about to shut down.
func TestLameDuck(t *testing.T) {
	t.Parallel()
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
		LameDuckDuration: time.Second, LameDuckGracePeriod: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	s.Start()
	ctx := deadline(t)
	c, err := client.Build(ctx, "ticketing", "duck-watcher", s.ClientURL(), quiet(), client.JetStream())
	require.NoError(t, err)
	w := watch(t, c)
	go s.LameDuckShutdown()
	e, _ := w.until(t, client.EventLameDuck)
	require.Equal(t, s.ClientURL(), e.Server)
	_, before := w.until(t, client.EventDisconnected)
	require.Empty(t, before)
	s.WaitForShutdown()
	_ = c.Close(ctx) // there is nobody to be told
}
