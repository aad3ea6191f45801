package devserver_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/devserver"
)

// The NATS server counts who needs its clock of access times, one for the process, and it
// was once seen to keep it after all servers had ended.
var accessTimes = goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, accessTimes)
}

const patience = 10 * time.Second

func start(t *testing.T, opts ...devserver.Option) *devserver.Server {
	t.Helper()
	srv, err := devserver.Start(opts...)
	require.NoError(t, err)
	t.Cleanup(srv.Shutdown)
	return srv
}

// connect is the raw client of the ticketing services.
func connect(t *testing.T, srv *devserver.Server, clientID string, opts ...stan.Option) stan.Conn {
	t.Helper()
	conn, err := stan.Connect(srv.ClusterID(), clientID, append([]stan.Option{stan.NatsURL(srv.URL())}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// publishAndReceive checks that events get through a channel, the one it
// publishes last.
func publishAndReceive(t *testing.T, conn stan.Conn) {
	t.Helper()
	require.NoError(t, conn.Publish("ticket:created", []byte("one")))
	got := make(chan string, 1)
	sub, err := conn.Subscribe("ticket:created", func(m *stan.Msg) { got <- string(m.Data) }, stan.StartWithLastReceived())
	require.NoError(t, err)
	defer func() { assert.NoError(t, sub.Unsubscribe()) }()
	assert.Equal(t, "one", receive(t, got))
}

func receive(t *testing.T, got <-chan string) string {
	t.Helper()
	select {
	case data := <-got:
		return data
	case <-time.After(patience):
		require.FailNow(t, "no event came")
		return ""
	}
}

// port of a server's URL.
func port(t *testing.T, url string) int {
	t.Helper()
	p, err := strconv.Atoi(url[strings.LastIndex(url, ":")+1:])
	require.NoError(t, err)
	return p
}

func assertFree(t *testing.T, url string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port(t, url))))
	if assert.NoError(t, err, "the port is free again") {
		assert.NoError(t, l.Close())
	}
}

func TestStart(t *testing.T) {
	for name, opts := range map[string][]devserver.Option{
		"memory store": nil,
		"file store":   {devserver.StoreDir(t.TempDir())},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, opts...)
			assert.Equal(t, "ticketing", srv.ClusterID())
			assert.True(t, strings.HasPrefix(srv.URL(), "nats://127.0.0.1:"), "%s is on loopback", srv.URL())
			assert.Empty(t, srv.MonitorURL(), "no monitoring unless asked for")
			publishAndReceive(t, connect(t, srv, "client"))
		})
	}
}

func TestStartTwoAtOnce(t *testing.T) {
	one := start(t, devserver.ClusterID("one"), devserver.MonitorPort(0))
	two := start(t, devserver.ClusterID("two"), devserver.MonitorPort(0), devserver.StoreDir(t.TempDir()))
	assert.NotEqual(t, one.URL(), two.URL())
	assert.NotEqual(t, one.MonitorURL(), two.MonitorURL())

	publishAndReceive(t, connect(t, one, "client"))
	conn := connect(t, two, "client")
	publishAndReceive(t, conn)

	one.Shutdown()
	publishAndReceive(t, conn)
}

func TestJetStreamIsOn(t *testing.T) {
	for name, opts := range map[string][]devserver.Option{
		"memory store": nil,
		"file store":   {devserver.StoreDir(t.TempDir())},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, opts...)
			conn, err := nats.Connect(srv.URL())
			require.NoError(t, err)
			defer conn.Close()
			js, err := jetstream.New(conn)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "events", Subjects: []string{"ticket.>"}})
			require.NoError(t, err)
			info, err := js.AccountInfo(ctx)
			require.NoError(t, err)
			assert.Equal(t, 1, info.Streams)
		})
	}
}

func TestShutdown(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)

	srv := start(t, devserver.MonitorPort(0))
	made, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Len(t, made, 1, "JetStream's temporary directory")

	srv.Shutdown()
	assertFree(t, srv.URL())
	assertFree(t, srv.MonitorURL())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left, "the temporary directory is gone")

	srv.Shutdown() // does nothing
	assert.ErrorContains(t, srv.RestartEmpty(), "was shut down")

	// The same port can be had again.
	start(t, devserver.Port(port(t, srv.URL())))
}

func TestStoreDirKeepsEventsOverShutdown(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, devserver.StoreDir(dir))
	conn := connect(t, srv, "before")
	require.NoError(t, conn.Publish("ticket:created", []byte("kept")))
	require.NoError(t, conn.Close())
	srv.Shutdown()

	srv = start(t, devserver.StoreDir(dir))
	assertKept(t, connect(t, srv, "after"))
	srv.Shutdown()

	_, err := devserver.Start(devserver.StoreDir(dir), devserver.ClusterID("other"))
	assert.ErrorContains(t, err, "give ClusterID the one that made the store")
}

func assertKept(t *testing.T, conn stan.Conn) {
	t.Helper()
	got := make(chan string, 1)
	_, err := conn.Subscribe("ticket:created", func(m *stan.Msg) { got <- string(m.Data) }, stan.DeliverAllAvailable())
	require.NoError(t, err)
	assert.Equal(t, "kept", receive(t, got))
}

func TestRestartKeepsEventsAndClients(t *testing.T) {
	srv := start(t, devserver.StoreDir(t.TempDir()), devserver.MonitorPort(0))
	url, monitorURL := srv.URL(), srv.MonitorURL()

	back := make(chan struct{}, 1)
	nc, err := nats.Connect(srv.URL(), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	// Pings would make the client give its connection up while the server is down.
	conn := connect(t, srv, "client", stan.NatsConn(nc), stan.Pings(5, 10))
	require.NoError(t, conn.Publish("ticket:created", []byte("kept")))

	require.NoError(t, srv.Restart())
	assert.Equal(t, url, srv.URL())
	assert.Equal(t, monitorURL, srv.MonitorURL())
	assert.Equal(t, []string{"client"}, clients(t, srv), "the server still knows the client")

	select {
	case <-back:
	case <-time.After(patience):
		require.FailNow(t, "the client did not reconnect")
	}
	assertKept(t, conn)
	assertKept(t, connect(t, srv, "new"))

	assert.ErrorContains(t, srv.RestartEmpty(), "are kept")
	assertKept(t, connect(t, srv, "newer"))
}

func TestRestartOnMemoryStore(t *testing.T) {
	srv := start(t, devserver.MonitorPort(0))
	url, monitorURL := srv.URL(), srv.MonitorURL()
	conn := connect(t, srv, "client")
	require.NoError(t, conn.Publish("ticket:created", []byte("lost")))

	err := srv.Restart()
	assert.ErrorIs(t, err, devserver.ErrMemoryStore)
	assert.ErrorContains(t, err, "StoreDir")
	require.NoError(t, conn.Publish("ticket:created", []byte("kept")), "nothing happened")
	require.NoError(t, conn.Close())

	require.NoError(t, srv.RestartEmpty())
	assert.Equal(t, url, srv.URL())
	assert.Equal(t, monitorURL, srv.MonitorURL())
	assert.Empty(t, clients(t, srv))
	conn = connect(t, srv, "client")
	require.NoError(t, conn.Publish("ticket:created", []byte("kept")))
	assertKept(t, conn) // it's the first one now
}

func TestFailedStartLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	taken := l.Addr().(*net.TCPAddr).Port

	begin := time.Now()
	_, err = devserver.Start(devserver.Port(taken))
	assert.ErrorContains(t, err, "address already in use")
	assert.ErrorContains(t, err, "Port("+strconv.Itoa(taken)+")")
	_, err = devserver.Start(devserver.MonitorPort(taken))
	assert.ErrorContains(t, err, "MonitorPort("+strconv.Itoa(taken)+")")
	assert.Less(t, time.Since(begin), 5*time.Second, "the embedded server would take longer to find out")

	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestRestartAndShutdownAtOnce(t *testing.T) {
	srv := start(t, devserver.MonitorPort(0))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := srv.RestartEmpty(); err != nil {
				assert.ErrorContains(t, err, "was shut down")
			}
		})
		wg.Go(srv.Shutdown)
		assert.NotEmpty(t, srv.URL()+srv.MonitorURL()+srv.ClusterID())
	}
	wg.Wait()
	assertFree(t, srv.URL())
	assertFree(t, srv.MonitorURL())
}

func TestMonitoringShowsClients(t *testing.T) {
	srv := start(t, devserver.MonitorPort(0))
	assert.Empty(t, clients(t, srv))
	connect(t, srv, "orders-1")
	assert.Equal(t, []string{"orders-1"}, clients(t, srv))
}

// clients tells whom the monitoring knows.
func clients(t *testing.T, srv *devserver.Server) []string {
	t.Helper()
	var page struct {
		Clients []struct {
			ID string `json:"id"`
		} `json:"clients"`
	}
	// A client of its own, so that no connection is kept for later.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Get(srv.MonitorURL() + "/streaming/clientsz")
	require.NoError(t, err)
	defer func() { assert.NoError(t, res.Body.Close()) }()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, json.NewDecoder(res.Body).Decode(&page))
	var ids []string
	for _, c := range page.Clients {
		ids = append(ids, c.ID)
	}
	return ids
}
