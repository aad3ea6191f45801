package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// ownServer is a server of one test, which may stop it.
type ownServer struct{ server *devserver.Server }

func startServer(t *testing.T, opts ...devserver.Option) ownServer {
	t.Helper()
	s, err := devserver.Start(opts...)
	require.NoError(t, err)
	t.Cleanup(s.Shutdown)
	return ownServer{s}
}

func (s ownServer) connect(t *testing.T, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.Build(deadline(t), s.server.ClusterID(), "test", s.server.URL(), append([]client.Option{quiet()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

func quiet() client.Option { return client.Logger(slog.New(slog.DiscardHandler)) }

// shortly is a context for a Build that can't succeed: enough for several attempts.
// A Build that is to succeed gets [deadline].
func shortly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	address, _ := l.Addr().(*net.TCPAddr)
	return address.Port
}

func TestBuildWaitsForItsServer(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	var log lockedBuffer
	built := make(chan error)
	var c *client.Client
	go func() {
		var err error
		c, err = client.Build(deadline(t), "ticketing", "early", fmt.Sprintf("nats://127.0.0.1:%d", port),
			client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
		built <- err
	}()
	require.Eventually(t, func() bool { return strings.Count(log.String(), "not connected yet") >= 2 }, patience, 10*time.Millisecond)
	s := startServer(t, devserver.Port(port))
	require.NoError(t, <-built)
	defer closeClient(t, c)
	require.Equal(t, s.server.ClusterID(), c.ClusterID())
	require.Equal(t, "early", c.ClientID())
	require.Contains(t, log.String(), "check=\"that a NATS server listens at the URL")
	require.Contains(t, log.String(), "retry_in=")
}

func TestBuildWithNoServer(t *testing.T) {
	t.Parallel()
	_, err := client.Build(shortly(t), "ticketing", "c", fmt.Sprintf("nats://user:secret@127.0.0.1:%d", freePort(t)), quiet())
	require.ErrorIs(t, err, client.ErrNoServer)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "check that a NATS server listens at the URL")
	require.NotContains(t, err.Error(), "secret")
}

func TestBuildWithTheWrongClusterID(t *testing.T) {
	t.Parallel()
	_, err := client.Build(shortly(t), "tickets", "c", server.url, quiet())
	require.ErrorIs(t, err, client.ErrNoCluster)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, `no streaming server with cluster ID "tickets"`)
}

func TestBuildWithATakenClientID(t *testing.T) {
	t.Parallel()
	for attempt := range 5 {
		id := fmt.Sprintf("taken-%s-%d", t.Name(), attempt)
		old, err := client.Build(deadline(t), server.clusterID, id, server.url, quiet())
		require.NoError(t, err)
		ctx, refused := context.WithCancel(deadline(t))
		log := slog.New(slog.NewTextHandler(onWrite(refused), &slog.HandlerOptions{Level: slog.LevelWarn})) // "not connected yet"
		c, err := client.Build(ctx, server.clusterID, id, server.url, client.Logger(log))
		refused()
		if err == nil { // the server gives the ID away when the old client does not answer for half a second, as on a busy machine
			closeClient(t, c)
			_ = old.Close(deadline(t)) // the server does not know it any more
			continue
		}
		require.ErrorIs(t, err, client.ErrClientIDTaken)
		require.ErrorContains(t, err, "taken-TestBuildWithATakenClientID")
		require.ErrorContains(t, err, "NATS_CLIENT_ID")
		closeClient(t, old)
		return
	}
	require.Fail(t, "each time the server gave the client ID away")
}

// onWrite is a writer that calls the function for each write.
type onWrite func()

func (f onWrite) Write(b []byte) (int, error) {
	f()
	return len(b), nil
}

// TestBuildTakesOverFromACrashedClient: the server asks the old one, which does
// not answer, and gives its ID to the new one.
func TestBuildTakesOverFromACrashedClient(t *testing.T) {
	t.Parallel()
	var dial cutDialer
	old, err := client.Build(deadline(t), server.clusterID, "crashed", server.url, quiet(), client.NATS(nats.SetCustomDialer(&dial)))
	require.NoError(t, err)
	dial.cut()
	connectAs(t, "crashed")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = old.Close(ctx) // it can't reach the server
}

// TestCancelledBuild does not stand in the way of the next one under the same
// client ID, and does not end it, whatever it had come to.
func TestCancelledBuild(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	id := "cancelled-" + group()
	for n := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*300*time.Microsecond)
		c, err := client.Build(ctx, server.clusterID, id, server.url, quiet())
		cancel()
		if err == nil {
			closeClient(t, c)
		}
	}
	publish[tag](t, connectAs(t, id), 3)
}

// cutDialer is a network that can be cut.
type cutDialer struct {
	conn atomic.Pointer[net.Conn]
	off  atomic.Bool
}

func (d *cutDialer) Dial(network, address string) (net.Conn, error) {
	if d.off.Load() {
		return nil, errors.New("no network")
	}
	c, err := net.Dial(network, address)
	d.conn.Store(&c)
	return c, err
}

func (d *cutDialer) cut() {
	d.off.Store(true)
	_ = (*d.conn.Load()).Close()
}

func TestBuildWithWrongCredentialsReturnsAtOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Credentials("ticketing", "right"))
	started := time.Now()
	_, err := client.Build(deadline(t), s.server.ClusterID(), "c", s.server.URL(), quiet(), client.NATS(nats.UserInfo("ticketing", "wrong")))
	require.ErrorIs(t, err, client.ErrUnauthorized)
	require.Less(t, time.Since(started), patience/2, "no second attempt")
	s.connect(t, client.NATS(nats.UserInfo("ticketing", "right")))
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	noop := func(*nats.Conn) {}
	for _, test := range []struct {
		name, cluster, clientID, url string
		opts                         []client.Option
		text                         string
	}{
		{"empty cluster ID", "", "c", server.url, nil, "cluster ID: it is empty"},
		{"cluster ID with a space", "a b", "c", server.url, nil, `cluster ID "a b"`},
		{"cluster ID with a wildcard", "a.*", "c", server.url, nil, `the wildcard '*' is not allowed`},
		{"empty client ID", "ticketing", "", server.url, nil, "client ID: it is empty"},
		{"client ID with a dot", "ticketing", "a.b", server.url, nil, `client ID "a.b": only letters`},
		{"client ID with an umlaut", "ticketing", "zürich", server.url, nil, "only letters A to Z"},
		{"client ID that is too long", "ticketing", strings.Repeat("a", 129), server.url, nil, `client ID "aaaaaaaaaaaaaaaaaaaa"…: it has 129 characters, and may have 128`},
		{"empty URL", "ticketing", "c", "", nil, "URL: it is empty"},
		{"URL without host", "ticketing", "c", "nats://:4222", nil, "the host is missing"},
		{"URL that can't be parsed", "ticketing", "c", "nats://user:pass@[::1", nil, "URL nats://***@[::1: it can't be parsed"},
		{"URL of another kind", "ticketing", "c", "amqp://localhost", nil, `unknown scheme "amqp"; use nats, tls, ws or wss`},
		{"mixed URLs", "ticketing", "c", "nats://a,ws://b", nil, "can't be mixed"},
		{"MaxReconnects", "ticketing", "c", server.url, []client.Option{client.NATS(nats.MaxReconnects(3))}, "MaxReconnects can't be set: reconnecting never gives up"},
		{"NoReconnect", "ticketing", "c", server.url, []client.Option{client.NATS(nats.NoReconnect())}, "NoReconnect can't be set"},
		{"ReconnectBufSize", "ticketing", "c", server.url, []client.Option{client.NATS(nats.ReconnectBufSize(1))}, "ReconnectBufSize can't be set"},
		{"RetryOnFailedConnect", "ticketing", "c", server.url, []client.Option{client.NATS(nats.RetryOnFailedConnect(true))}, "RetryOnFailedConnect can't be set"},
		{"the default of MaxReconnects", "ticketing", "c", server.url, []client.Option{client.NATS(nats.Name("x"), nats.MaxReconnects(60))}, "MaxReconnects can't be set"},
		{"an option that fails", "ticketing", "c", server.url, []client.Option{client.NATS(nats.RootCAs("/nowhere"))}, "NATS option: "},
		{"credentials that are not there", "ticketing", "c", server.url, []client.Option{client.NATS(nats.UserCredentials("/nowhere"))}, "no such file"},
		{"no NATS option", "ticketing", "c", server.url, []client.Option{client.NATS()}, "option NATS: it holds no option"},
		{"nil option", "ticketing", "c", server.url, []client.Option{nil}, "option: nil"},
		{"nil logger", "ticketing", "c", server.url, []client.Option{client.Logger(nil)}, "option Logger: nil"},
		{"window of zero", "ticketing", "c", server.url, []client.Option{client.PublishWindow(0)}, "option PublishWindow: 0; must be at least 1"},
		{"nil transport", "ticketing", "c", server.url, []client.Option{client.Transport(nil)}, "option Transport: nil"},
	} {
		_, err := client.Build(deadline(t), test.cluster, test.clientID, test.url, append([]client.Option{quiet()}, test.opts...)...)
		require.ErrorIs(t, err, client.ErrInvalid, test.name)
		require.ErrorContains(t, err, test.text, test.name)
		require.NotContains(t, err.Error(), "pass", test.name)
	}
	// What is not refused is passed on, and callbacks are called beside ours.
	closed := make(chan struct{})
	c, err := client.Build(deadline(t), server.clusterID, "chained", server.url, quiet(),
		client.NATS(nats.Name("mine"), nats.ClosedHandler(func(*nats.Conn) { close(closed) }), nats.DisconnectHandler(noop), nil))
	require.NoError(t, err)
	require.NoError(t, c.Close(deadline(t)))
	<-closed
}

// TestCallbacksAreChained: the caller's run beside the library's, the deprecated
// one included.
func TestCallbacksAreChained(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.StoreDir(t.TempDir()))
	var log lockedBuffer
	calls := make(chan string, 10)
	s.connect(t, client.Logger(slog.New(slog.NewTextHandler(&log, nil))), client.NATS(
		nats.DisconnectHandler(func(*nats.Conn) { calls <- "disconnected" }),
		nats.ReconnectHandler(func(*nats.Conn) { calls <- "reconnected" }),
	))
	require.NoError(t, s.server.Restart())
	require.Equal(t, "disconnected", <-calls)
	require.Equal(t, "reconnected", <-calls)
	require.Contains(t, log.String(), "connection to the NATS server lost; reconnecting")
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "reconnected to the NATS server") }, patience, 10*time.Millisecond,
		"which is said once the server has confirmed that it knows the client")
}

func TestFromEnv(t *testing.T) {
	t.Setenv("NATS_URL", server.url)
	t.Setenv("NATS_CLUSTER_ID", server.clusterID)
	t.Setenv("NATS_CLIENT_ID", "from-env")
	c, err := client.FromEnv(deadline(t), quiet())
	require.NoError(t, err)
	require.Equal(t, "from-env", c.ClientID())
	require.NoError(t, c.Close(deadline(t)))

	// A generated ID goes on to the next number when it is taken.
	t.Setenv("NATS_CLIENT_ID", "")
	first, err := client.FromEnv(deadline(t), quiet())
	require.NoError(t, err)
	defer closeClient(t, first)
	second, err := client.FromEnv(deadline(t), quiet())
	require.NoError(t, err)
	defer closeClient(t, second)
	require.Equal(t, first.ClientID()+"-2", second.ClientID())

	type tag struct{}
	fresh[tag](t)
	_, err = listener.New(first, "", into[tag](newInbox()), listener.DurableName("mine"))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "set NATS_CLIENT_ID")
}

// TestTheServerForgetsAClosedClient: its monitoring says so.
func TestTheServerForgetsAClosedClient(t *testing.T) {
	t.Parallel()
	if server.monitor == "" {
		t.Skip("the monitoring of the server at NATS_URL is not known: set NATS_MONITOR_URL")
	}
	type tag struct{}
	fresh[tag](t)
	id := "closing-" + group()
	c := connectAs(t, id)
	box := newInbox()
	listen(t, c, group(), into[tag](box))
	publish[tag](t, c, 1)
	box.next(t)
	require.Contains(t, clients(t), id)
	closeClient(t, c)
	require.NotContains(t, clients(t), id, "at once, not after missed heartbeats")
}

// clients are the IDs of the clients that the server counts as connected.
func clients(t *testing.T) []string {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	response, err := http.Get(server.monitor + "/streaming/clientsz?limit=10000")
	require.NoError(t, err)
	defer response.Body.Close()
	var page struct {
		Clients []struct {
			ID string `json:"id"`
		} `json:"clients"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&page))
	ids := make([]string, 0, len(page.Clients))
	for _, c := range page.Clients {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := connect(t)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	l, err := listener.New(c, group(), into[tag](newInbox()))
	require.NoError(t, err)
	running := begin(t, l)
	closeClient(t, c)
	require.NoError(t, <-running.ended, "Listen returns nil when the client closes")
	closeClient(t, c) // again

	err = p.Publish(deadline(t), note[tag]{})
	require.ErrorIs(t, err, publisher.ErrClosed)
	require.ErrorIs(t, err, publisher.ErrNotStored)
	_, err = p.PublishAsync(deadline(t), note[tag]{})
	require.ErrorIs(t, err, publisher.ErrClosed)
	require.ErrorIs(t, l.Listen(deadline(t)), listener.ErrClosed)
	require.ErrorIs(t, l.DeleteDurable(deadline(t)), listener.ErrClosed)
	require.ErrorIs(t, c.Err(), client.ErrClosed)
	<-c.Done()
}

// TestHandlersMayPublishWhileTheClientCloses: the handler that runs finishes, what
// it publishes is stored, and it is acknowledged.
func TestHandlersMayPublishWhileTheClientCloses(t *testing.T) {
	t.Parallel()
	type request struct{}
	type reply struct{}
	fresh[request](t)
	fresh[reply](t)
	c, g := connect(t), group()
	replies, err := publisher.New[note[reply]](c)
	require.NoError(t, err)
	started, release := make(chan struct{}), make(chan struct{})
	listen(t, c, g, func(ctx context.Context, e note[request], _ listener.Delivery) error {
		close(started)
		<-release
		return replies.Publish(ctx, note[reply]{N: e.N})
	})
	publish[request](t, c, 1)
	<-started
	closed := make(chan error)
	go func() { closed <- c.Close(deadline(t)) }()
	select {
	case err := <-closed:
		require.FailNow(t, "Close did not wait for the handler", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	require.NoError(t, <-closed)

	other, box, again := connect(t), newInbox(), newInbox()
	listen(t, other, group(), into[reply](box))
	require.Equal(t, 1, box.next(t).n)
	publishFrom[request](t, other, 2, 2)
	listen(t, other, g, into[request](again))
	require.Equal(t, 2, again.next(t).n, "1 was acknowledged")
}

// TestCloseCutsShort: a handler that does not end does not keep Close beyond its
// context, and its event comes again.
func TestCloseCutsShort(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	g := group()
	c, err := client.Build(deadline(t), server.clusterID, "cut-"+g, server.url, quiet())
	require.NoError(t, err)
	started, ended := make(chan struct{}), make(chan struct{})
	running := listen(t, c, g, func(ctx context.Context, _ note[tag], _ listener.Delivery) error {
		close(started)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	})
	publish[tag](t, c, 1)
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err = c.Close(ctx)
	require.Less(t, time.Since(begun), 2*time.Second)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, listener.ErrUnfinished)
	require.ErrorContains(t, err, "1 handler still running (sequence 1)")
	require.ErrorIs(t, <-running.ended, listener.ErrUnfinished)
	<-ended // its context ended with the drain

	box := newInbox()
	listen(t, connect(t), g, into[tag](box))
	require.Equal(t, 1, box.next(t).n)
}

// TestStoreLost: the server comes back without its store, and knows nobody. The
// client goes on, and says what has happened.
func TestStoreLost(t *testing.T) {
	t.Parallel()
	type tag struct{}
	type alone struct{}
	fresh[tag](t)
	fresh[alone](t)
	s := startServer(t)
	var log lockedBuffer
	c := s.connect(t, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	box, lone := newInbox(), newInbox()
	listen(t, c, group(), into[tag](box))
	listen(t, c, "", into[alone](lone))
	publish[tag](t, c, 10)
	publish[alone](t, c, 10)
	require.Equal(t, count(10), box.take(t, 10))
	require.Equal(t, count(10), lone.take(t, 10))

	require.NoError(t, s.server.RestartEmpty())
	publishFrom[tag](t, c, 11, 15)
	publishFrom[alone](t, c, 11, 15)
	require.Equal(t, countFrom(11, 15), box.take(t, 5), "although their sequences were handled before")
	require.Equal(t, countFrom(11, 15), lone.take(t, 5))
	require.Contains(t, log.String(), "a new session has taken the place of the old one")
	require.Contains(t, log.String(), "the server has lost what it had stored")
	require.NoError(t, c.Err())
}
