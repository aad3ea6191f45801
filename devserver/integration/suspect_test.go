package integration_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestSuspectEvents: an event that was sent again and again is marked before it runs; without the permission for that
// it runs all the same, and the client is degraded as long as it does.
func TestSuspectEvents(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Users(
		devserver.User{Name: "full", Password: "secret"},
		devserver.User{Name: "unmarked", Password: "secret", Publish: devserver.Permission{Deny: []string{"_STAN.pub.*.dead._begun.>", "dead._begun.>"}}},
	))
	t.Run("NATS Streaming", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		fresh[tag](t)
		suspectEvent[tag](t, s)
	})
	t.Run("JetStream", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		subject := string(fresh[tag](t))
		suspectEvent[tag](t, s, client.JetStream(jetstream.OnlySubjects(subject, "dead.*."+subject), jetstream.MemoryStorage()))
	})
}

func suspectEvent[Tag any](t *testing.T, s ownServer, opts ...client.Option) {
	t.Helper()
	connect := func(user string) *client.Client {
		id := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + "-" + user
		c, err := client.Build(deadline(t), s.server.ClusterID(), id, s.server.URL(), append([]client.Option{quiet(), client.NATS(nats.UserInfo(user, "secret"))}, opts...)...)
		require.NoError(t, err)
		t.Cleanup(func() { closeClient(t, c) })
		return c
	}
	full, unmarked := connect("full"), connect("unmarked")
	members := group()
	for n, c := range []*client.Client{full, unmarked} {
		publishFrom[Tag](t, full, n+1, n+1)
		sendAgain[Tag](t, full, members)
		running, goOn := make(chan struct{}), make(chan struct{})
		l, err := listener.New(c, members, func(context.Context, note[Tag], listener.Delivery) error {
			close(running)
			<-goOn
			return nil
		}, listener.AckWait(time.Second))
		require.NoError(t, err)
		listens := begin(t, l)
		select {
		case <-running:
		case <-time.After(patience):
			require.FailNow(t, "the event does not run")
		}
		reasons := c.Status().Reasons
		if c == full {
			require.Empty(t, reasons)
		} else {
			require.Len(t, reasons, 1)
			require.Contains(t, reasons[0].Text, "that may end the process are not marked")
			require.ErrorContains(t, reasons[0].Err, "the client needs to publish and subscribe there")
		}
		close(goOn)
		require.Eventually(t, func() bool { return c.Status().State == client.Connected }, patience, time.Millisecond)
		require.NoError(t, listens.end(t))
	}
}

// sendAgain has the server send an event as often as makes it suspect.
func sendAgain[Tag any](t *testing.T, c *client.Client, members string) {
	t.Helper()
	often, told := make(chan struct{}), false
	holds, err := listener.New(c, members, func(_ context.Context, _ note[Tag], d listener.Delivery) error {
		if d.Deliveries >= 4 && !told {
			told = true
			close(often)
		}
		return nil // and settles nothing
	}, listener.ManualAck(), listener.AckWait(time.Second), listener.MaxAttempts(100), listener.Backoff(time.Millisecond, time.Millisecond),
		listener.DrainTimeout(time.Second))
	require.NoError(t, err)
	listens := begin(t, holds)
	select {
	case <-often:
	case <-time.After(patience):
		require.FailNow(t, "the event does not come often")
	}
	if err := listens.end(t); err != nil {
		require.ErrorIs(t, err, listener.ErrUnfinished)
	}
}
