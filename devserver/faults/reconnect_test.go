package faults_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// TestReconnectsLeaveNothing: as many goroutines as before, within 2, and 1 MiB of
// memory at most; over NATS Streaming likewise when sessions are replaced. It does not
// run beside others, which would be counted too.
func TestReconnectsLeaveNothing(t *testing.T) {
	for _, s := range sides() {
		if !s.ours() {
			continue
		}
		t.Run(s.title, func(t *testing.T) {
			times := 100
			if *full {
				times = 1000
			}
			leavesNothing(t, s, times, client.EventReconnected, func(c *scene) func() { return c.link.Cut })
		})
	}
	for _, s := range chosen(streaming) {
		t.Run(s.title+", session replaced", func(t *testing.T) {
			times := 50
			if *full {
				times = 1000
			}
			leavesNothing(t, s, times, client.EventSessionReplaced, func(c *scene) func() { return closer(t, c) })
		})
	}
}

// closer returns what has the server end the client's session: the protocol's request to
// close it, which anyone can send.
func closer(t *testing.T, c *scene) func() {
	t.Helper()
	nc, err := nats.Connect(c.url())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	request := func(subject string, what interface{ Marshal() ([]byte, error) }, answer interface{ Unmarshal(data []byte) error }) {
		data, err := what.Marshal()
		require.NoError(t, err)
		reply, err := nc.Request(subject, data, patience)
		require.NoError(t, err)
		require.NoError(t, answer.Unmarshal(reply.Data))
	}
	var joined pb.ConnectResponse
	request(stan.DefaultDiscoverPrefix+"."+clusterID, &pb.ConnectRequest{ClientID: "closer", HeartbeatInbox: nats.NewInbox()}, &joined)
	require.Empty(t, joined.Error)
	return func() {
		var closed pb.CloseResponse
		request(joined.CloseRequests, &pb.CloseRequest{ClientID: "service"}, &closed)
		require.Empty(t, closed.Error)
	}
}

func leavesNothing(t *testing.T, s side, times int, kind client.EventKind, disturbance func(*scene) func()) {
	t.Helper()
	c := newScene(t, s, 1)
	disturb := disturbance(c)
	built, err := client.Build(t.Context(), clusterID, "service", c.url(), append([]client.Option{
		client.Logger(slog.New(slog.DiscardHandler)),
		client.NATS(nats.CustomReconnectDelay(func(int) time.Duration { return time.Millisecond })),
	}, s.options...)...)
	require.NoError(t, err)
	var came atomic.Int64
	watched := built.Watch(context.Background())
	go func() {
		for e := range watched {
			if e.Kind == kind {
				came.Add(1)
			}
		}
	}()
	p, err := publisher.New[beat](built)
	require.NoError(t, err)
	handled := make(chan int, times)
	l, err := listener.New(built, group, func(_ context.Context, e beat, _ listener.Delivery) error {
		handled <- e.N
		return nil
	})
	require.NoError(t, err)
	listening, stop := context.WithCancel(t.Context())
	ready, ended := l.Ready(), make(chan error, 1)
	go func() { ended <- l.Listen(listening) }()
	<-ready

	// through disturbs it n times, each time with events on their way.
	through := func(n int) {
		for i := range n {
			disturb()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			require.NoError(t, p.Publish(ctx, beat{N: i}))
			cancel()
			for got := -1; got != i; {
				select {
				case got = <-handled:
				case <-time.After(patience):
					require.FailNow(t, "the event did not come")
				}
			}
		}
	}
	through(times / 10)
	goroutines, heap := usage()
	through(times)
	require.GreaterOrEqual(t, came.Load(), int64(times))
	// What ends by itself soon after is no leak.
	assert.EventuallyWithT(t, func(t *assert.CollectT) {
		g, h := usage()
		assert.LessOrEqual(t, g, goroutines+2)
		assert.Less(t, int64(h)-int64(heap), int64(1<<20))
	}, patience, 100*time.Millisecond)

	stop()
	require.NoError(t, <-ended)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, built.Close(ctx))
}

func usage() (goroutines int, heap uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}
