package integration_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestRestoredFromABackup: the server comes back with its store as it was a while ago, and
// stores other events under the sequences of those that are lost. Each listener handles them
// all, none later than an ack wait, and says that the store is another one.
func TestRestoredFromABackup(t *testing.T) {
	t.Parallel()
	type streaming struct{}
	type restarted struct{}
	type jet struct{}
	type quietOne struct{}
	t.Run("NATS Streaming", func(t *testing.T) {
		t.Parallel()
		fresh[streaming](t)
		restoredFromABackup[streaming](t, false, nil)
	})
	t.Run("NATS Streaming, and the service was restarted since the backup", func(t *testing.T) {
		t.Parallel()
		fresh[restarted](t)
		restoredFromABackup[restarted](t, true, nil)
	})
	t.Run("JetStream", func(t *testing.T) {
		t.Parallel()
		subject := string(fresh[jet](t))
		restoredFromABackup[jet](t, false, client.JetStream(jetstream.OnlySubjects(subject, "dead.*."+subject)))
	})
	t.Run("JetStream, and the service was restarted since the backup", func(t *testing.T) {
		t.Parallel()
		subject := string(fresh[quietOne](t))
		restoredFromABackup[quietOne](t, true, client.JetStream(jetstream.OnlySubjects(subject, "dead.*."+subject)))
	})
}

// restorable is a server whose store can be set back.
type restorable struct {
	*devserver.Server

	port        int
	dir, backup string
}

func (r *restorable) start(t *testing.T) {
	t.Helper()
	var err error
	r.Server, err = devserver.Start(devserver.Port(r.port), devserver.StoreDir(r.dir))
	require.NoError(t, err)
}

func restoredFromABackup[Tag any](t *testing.T, restart bool, broker client.Option) {
	t.Helper()
	server := &restorable{port: freePort(t), dir: t.TempDir(), backup: t.TempDir()}
	server.start(t)
	t.Cleanup(func() { server.Shutdown() })
	const ackWait = 10 * time.Second
	handled := make(chan string, 1000)
	type service struct {
		one, two *client.Client
		all      []*listening
	}
	build := func(id string, opts ...client.Option) *client.Client {
		if broker != nil {
			opts = append(opts, broker)
		}
		c, err := client.Build(deadline(t), server.ClusterID(), id, server.URL(), append([]client.Option{quiet()}, opts...)...)
		require.NoError(t, err)
		t.Cleanup(func() { closeClient(t, c) })
		return c
	}
	log := &lockedBuffer{}
	startService := func() *service {
		s := &service{one: build("one", client.Logger(slog.New(slog.NewTextHandler(log, nil)))), two: build("two")}
		hear := func(c *client.Client, group, name string, opts ...listener.Option) {
			s.all = append(s.all, listen(t, c, group, func(_ context.Context, e note[Tag], _ listener.Delivery) error {
				handled <- fmt.Sprintf("%s: %d", name, e.N)
				return nil
			}, append(opts, listener.AckWait(ackWait))...))
		}
		hear(s.one, "", "durable", listener.DurableName("d"))
		hear(s.one, "g", "group", listener.DurableName("d"))
		hear(s.two, "g", "group", listener.DurableName("d"))
		hear(s.one, "", "without", listener.Ephemeral())
		return s
	}
	await := func(first, last int) {
		t.Helper()
		want := make(map[string]int)
		for n := first; n <= last; n++ {
			for _, name := range []string{"durable", "group", "without"} {
				want[fmt.Sprintf("%s: %d", name, n)] = 1
			}
		}
		late := time.After(ackWait)
		for len(want) > 0 {
			select {
			case one := <-handled:
				delete(want, one)
			case <-late:
				require.FailNow(t, "events are late by more than an ack wait", "%v", slices.Sorted(maps.Keys(want)))
			}
		}
	}
	s, p := startService(), build("publisher")
	publish[Tag](t, p, 5)
	await(1, 5)
	server.Shutdown()
	require.NoError(t, os.CopyFS(server.backup, os.DirFS(server.dir)))
	server.start(t)
	if restart {
		for _, l := range s.all {
			require.NoError(t, l.end(t))
		}
		closeClient(t, s.one)
		closeClient(t, s.two)
		s = startService()
	}
	publishFrom[Tag](t, p, 6, 15)
	await(6, 15)
	events := watch(t, s.one)
	server.Shutdown()
	require.NoError(t, os.RemoveAll(server.dir))
	require.NoError(t, os.CopyFS(server.dir, os.DirFS(server.backup)))
	server.start(t)
	began := time.Now()
	publishFrom[Tag](t, p, 101, 120)
	await(101, 120)
	t.Logf("all was handled %v after the server was back", time.Since(began))
	lost, _ := events.until(t, client.EventStoreLost)
	require.Error(t, lost.Err)
	publishFrom[Tag](t, p, 121, 140)
	await(121, 140)
	require.Contains(t, log.String(), "the server has lost what it had stored")
}
