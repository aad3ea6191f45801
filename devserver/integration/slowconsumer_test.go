package integration_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

// large is an event of 64 KiB.
type large struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

func (large) Subject() subjects.Subject { return "test.large" }

// TestServerCutsSlowConsumer: the server has more to send at once than it keeps for a client
// (max_pending), and cuts it each time. The client waits longer each time, says what to do,
// and loses nothing.
func TestServerCutsSlowConsumer(t *testing.T) {
	t.Parallel()
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, MaxPayload: 128 << 10, MaxPending: 256 << 10,
	})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(patience))
	stream := streamOn(t, s.ClientURL())
	c := stream.connect(t, string(large{}.Subject()))
	p, err := publisher.New[large](c)
	require.NoError(t, err)
	const n = 100
	for i := range n {
		require.NoError(t, p.Publish(deadline(t), large{N: i, Text: strings.Repeat("x", 64<<10)}))
	}

	var reconnects atomic.Int32
	slow := stream.connect(t, string(large{}.Subject()), client.NATS(nats.ReconnectHandler(func(*nats.Conn) { reconnects.Add(1) })))
	name, handled := group(), make(chan int, 100*n)
	handler := func(_ context.Context, e large, _ listener.Delivery) error {
		handled <- e.N
		return nil
	}
	l, err := listener.New(slow, name, handler, listener.MaxInFlight(n))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- l.Listen(ctx) }()
	require.Eventually(t, func() bool {
		for _, r := range slow.Status().Reasons {
			if strings.Contains(r.Text, "max_pending") {
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond)
	t.Logf("%d reconnects, %d handled, cut %d times", reconnects.Load(), len(handled), s.NumSlowConsumers())
	stop()
	t.Log("the slow listener has ended: ", <-ended) // its last acknowledgements may have been cut off

	l, err = listener.New(c, name, handler, listener.MaxInFlight(1))
	require.NoError(t, err)
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- l.Listen(ctx) }()
	all := make(map[int]bool)
	for len(all) < n {
		select {
		case i := <-handled:
			all[i] = true
		case <-time.After(patience):
			require.Fail(t, "events are missing", "%d of %d came", len(all), n)
		}
	}
	stop()
	require.NoError(t, <-ended)
}

// TestDroppedMessages: nats.go drops messages of a subscription that the client's author has
// made on the connection of NATSConn. That is told with the limit.
func TestDroppedMessages(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	var log lockedBuffer
	c := s.connect(t, "test.dropped", client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	nc, err := c.NATSConn(deadline(t))
	require.NoError(t, err)
	gate := make(chan struct{})
	sub, err := nc.Subscribe("test.own", func(*nats.Msg) { <-gate })
	require.NoError(t, err)
	t.Cleanup(func() { close(gate) })
	require.NoError(t, sub.SetPendingLimits(2, 1000))
	for range 5 {
		require.NoError(t, nc.Publish("test.own", []byte("x")))
	}
	require.Eventually(t, func() bool {
		return strings.Contains(log.String(), "holds at most 2 messages and 1000 bytes") && strings.Contains(log.String(), "SetPendingLimits")
	}, patience, 10*time.Millisecond)
}
