//go:build node

package node_test

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
)

// patience is how long a test waits for what must happen. It is never used up by
// a test that passes.
const patience = 30 * time.Second

// serve starts a server for the test alone: the events of the catalogue have
// channels of fixed names.
func serve(t *testing.T) *devserver.Server {
	t.Helper()
	srv, err := devserver.Start(devserver.MonitorPort(0))
	require.NoError(t, err)
	t.Cleanup(srv.Shutdown)
	return srv
}

// deadline returns a context that ends when the test's patience does.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, srv *devserver.Server, clientID string, opts ...client.Option) *client.Client {
	t.Helper()
	opts = append(opts, client.Logger(slog.New(slog.DiscardHandler)))
	c, err := client.Build(deadline(t), srv.ClusterID(), clientID, srv.URL(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

func closeClient(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	assert.NoError(t, c.Close(ctx))
}

// publishFromGo publishes the events and waits until they are stored.
func publishFromGo[T events.Event](t *testing.T, c *client.Client, all iter.Seq[T]) {
	t.Helper()
	p, err := publisher.New[T](c)
	require.NoError(t, err)
	_, err = p.PublishAll(deadline(t), all)
	require.NoError(t, err)
}

// goListener is a Go service that listens.
type goListener struct {
	client *client.Client
	stop   context.CancelFunc
	ended  chan error
}

// listenFromGo starts a listener on a client of its own and waits until it listens.
func listenFromGo[T events.Event](t *testing.T, srv *devserver.Server, clientID, group string, h listener.Handler[T], opts ...listener.Option) goListener {
	t.Helper()
	return listenWithClient(t, connect(t, srv, clientID), group, h, opts...)
}

// listenWithClient is listenFromGo with a client that becomes the listener's own.
func listenWithClient[T events.Event](t *testing.T, c *client.Client, group string, h listener.Handler[T], opts ...listener.Option) goListener {
	t.Helper()
	l, err := listener.New(c, group, h, opts...)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	g := goListener{c, stop, make(chan error, 1)}
	ready := l.Ready()
	go func() { g.ended <- l.Listen(ctx) }()
	select {
	case <-ready:
	case err := <-g.ended:
		require.NoError(t, err, "Listen ended")
	case <-time.After(patience):
		require.FailNow(t, "not subscribed")
	}
	return g
}

func (g goListener) leave(t *testing.T) {
	t.Helper()
	g.stop()
	select {
	case err := <-g.ended:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "Listen did not return")
	}
	closeClient(t, g.client)
}

// collection is what several goroutines collect.
type collection[T any] struct {
	mu  sync.Mutex
	all []T
}

func (c *collection[T]) add(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, v)
}

func (c *collection[T]) list() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// await waits until there are n, and returns all.
func (c *collection[T]) await(t *testing.T, n int) []T {
	t.Helper()
	eventually(t, "events have come", func() (any, bool) {
		have := len(c.list())
		return have, have >= n
	})
	return c.list()
}

// eventually asks until the answer is yes. What is asked for is shown when the
// test runs out of patience.
func eventually(t *testing.T, what string, ask func() (state any, yes bool)) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for ctx := deadline(t); ; {
		state, yes := ask()
		if yes {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			require.FailNow(t, "never: "+what, "%+v", state)
		}
	}
}

// subscription is one of a channel, as the server's monitoring shows it.
type subscription struct {
	ClientID    string `json:"client_id"`
	QueueName   string `json:"queue_name"` // durable:group
	Durable     bool   `json:"is_durable"`
	Offline     bool   `json:"is_offline"` // what is kept of a durable that nobody has
	MaxInFlight int    `json:"max_inflight"`
	AckWait     int    `json:"ack_wait"` // seconds
	LastSent    uint64 `json:"last_sent"`
	Pending     int    `json:"pending_count"`
	Stalled     bool   `json:"is_stalled"`
}

func subscriptions(t *testing.T, srv *devserver.Server, subject subjects.Subject) []subscription {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), http.MethodGet,
		srv.MonitorURL()+"/streaming/channelsz?subs=1&channel="+url.QueryEscape(string(subject)), http.NoBody)
	require.NoError(t, err)
	req.Close = true // no connection stays behind
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var channel struct {
		Subscriptions []subscription `json:"subscriptions"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&channel))
	return channel.Subscriptions
}

// awaitSettled waits until the server has delivered all events up to last, and all are
// acknowledged: none can come again.
func awaitSettled(t *testing.T, srv *devserver.Server, subject subjects.Subject, last uint64) {
	t.Helper()
	eventually(t, "acknowledged", func() (any, bool) {
		all := subscriptions(t, srv, subject)
		var sent uint64
		open := 0
		for _, s := range all {
			sent = max(sent, s.LastSent)
			open += s.Pending
		}
		return all, sent == last && open == 0
	})
}
