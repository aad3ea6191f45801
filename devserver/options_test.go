package devserver_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
)

func TestWrongOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	blocked := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(blocked, "jetstream"), nil, 0o600))
	original := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(original, "server.dat"), nil, 0o600))

	for name, test := range map[string]struct {
		opt  devserver.Option
		says []string // the option and the remedy
	}{
		"no cluster id":            {devserver.ClusterID(""), []string{`ClusterID("")`, "letters, digits"}},
		"cluster id with a dot":    {devserver.ClusterID("a.b"), []string{`ClusterID("a.b")`, "letters, digits"}},
		"no store dir":             {devserver.StoreDir(" "), []string{"StoreDir", "leave the option out"}},
		"store dir is a file":      {devserver.StoreDir(file), []string{"StoreDir", "not a directory", "name a directory"}},
		"store dir is blocked":     {devserver.StoreDir(blocked), []string{"StoreDir", "not a directory", "name a directory"}},
		"store dir of an original": {devserver.StoreDir(original), []string{"StoreDir", "move its files into"}},
		"host name":                {devserver.Host("localhost"), []string{`Host("localhost")`, "127.0.0.1"}},
		"host of another machine":  {devserver.Host("192.0.2.77"), []string{`Host("192.0.2.77")`, "address of this machine"}},
		"negative port":            {devserver.Port(-1), []string{"Port(-1)", "any free port"}},
		"large port":               {devserver.Port(65536), []string{"Port(65536)", "1 to 65535"}},
		"negative monitor port":    {devserver.MonitorPort(-1), []string{"MonitorPort(-1)", "no monitoring"}},
		"no interval":              {devserver.Heartbeats(0, time.Second, 1), []string{"Heartbeats(0s, 1s, 1)", "above zero"}},
		"no timeout":               {devserver.Heartbeats(time.Second, 0, 1), []string{"Heartbeats(1s, 0s, 1)", "above zero"}},
		"negative fails":           {devserver.Heartbeats(time.Second, time.Second, -1), []string{"Heartbeats(1s, 1s, -1)", "negative"}},
		"no password":              {devserver.Credentials("user", ""), []string{"Credentials", "both"}},
		"small payload":            {devserver.MaxPayload(1023), []string{"MaxPayload(1023)", "1024 to 67108864"}},
		"large payload":            {devserver.MaxPayload(64<<20 + 1), []string{"MaxPayload(67108865)", "1024 to 67108864"}},
		"negative channels":        {devserver.MaxChannels(-1), []string{"MaxChannels(-1)", "0 for no limit"}},
		"negative subscriptions":   {devserver.MaxSubscriptions(-1), []string{"MaxSubscriptions(-1)", "0 for no limit"}},
		"negative messages":        {devserver.MaxMessages(-1), []string{"MaxMessages(-1)", "0 for no limit"}},
		"no JetStream room":        {devserver.JetStreamSize(0), []string{"JetStreamSize(0)", "above zero"}},
		"no users":                 {devserver.Users(), []string{"Users", "leave the option out"}},
		"user without password":    {devserver.Users(devserver.User{Name: "orders"}), []string{`"orders"`, "a password"}},
		"user of the server":       {devserver.Users(devserver.User{Name: "_devserver", Password: "p"}), []string{`"_devserver"`, "underscore"}},
		"user twice":               {devserver.Users(devserver.User{Name: "a", Password: "p"}, devserver.User{Name: "a", Password: "q"}), []string{`two users are named "a"`}},
		"no NATS subject": {
			devserver.Users(devserver.User{Name: "a", Password: "p", Publish: devserver.Permission{Deny: []string{"a..b"}}}),
			[]string{`"a..b" is no NATS subject`},
		},
		"nil": {nil, []string{"option 1 is nil", "leave it out"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv, err := devserver.Start(test.opt)
			if err == nil {
				srv.Shutdown()
			}
			require.Error(t, err)
			for _, says := range append(test.says, "devserver: ") {
				assert.ErrorContains(t, err, says)
			}
		})
	}
}

func TestPortsMustDiffer(t *testing.T) {
	srv := start(t)
	srv.Shutdown()
	p := port(t, srv.URL())
	_, err := devserver.Start(devserver.Port(p), devserver.MonitorPort(p))
	assert.ErrorContains(t, err, "give each its own")
}

func TestLastOptionCounts(t *testing.T) {
	srv := start(t, devserver.ClusterID("first"), devserver.ClusterID("second"))
	assert.Equal(t, "second", srv.ClusterID())
}

func TestStoreDirIsForOneServer(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	srv := start(t, devserver.StoreDir(dir))
	_, err := devserver.Start(devserver.StoreDir(link))
	assert.ErrorContains(t, err, "another server of this process")
	srv.Shutdown()
	start(t, devserver.StoreDir(link))
}

func TestCredentials(t *testing.T) {
	srv := start(t, devserver.Credentials("user", "secret"))
	_, err := nats.Connect(srv.URL())
	assert.ErrorIs(t, err, nats.ErrAuthorization)
	_, err = nats.Connect(srv.URL(), nats.UserInfo("user", "wrong"))
	assert.ErrorIs(t, err, nats.ErrAuthorization)

	publishAndReceive(t, connect(t, srv, "client", stan.NatsOptions(nats.UserInfo("user", "secret"))))
}

func TestHostOpensToTheNetwork(t *testing.T) {
	srv := start(t, devserver.Host("0.0.0.0"), devserver.MonitorPort(0))
	publishAndReceive(t, connect(t, srv, "client"))
	assert.Equal(t, []string{"client"}, clients(t, srv))
}

func TestHeartbeats(t *testing.T) {
	const interval = 100 * time.Millisecond
	srv := start(t, devserver.MonitorPort(0), devserver.Heartbeats(interval, time.Minute, 1))
	nc, err := nats.Connect(srv.URL())
	require.NoError(t, err)
	connect(t, srv, "gone", stan.NatsConn(nc))
	connect(t, srv, "here")
	assert.ElementsMatch(t, []string{"gone", "here"}, clients(t, srv))

	begin := time.Now()
	nc.Close() // without saying goodbye to the streaming server
	for len(clients(t, srv)) > 1 {
		require.Less(t, time.Since(begin), patience, "nobody was forgotten")
		time.Sleep(interval / 10)
	}
	assert.GreaterOrEqual(t, time.Since(begin), interval, "one miss is forgiven")
	time.Sleep(5 * interval)
	assert.Equal(t, []string{"here"}, clients(t, srv), "who answers stays")
}

func TestMaxPayload(t *testing.T) {
	const n = 1024 // the least there is
	srv := start(t, devserver.MaxPayload(n))
	conn := connect(t, srv, "client")
	publishAndReceive(t, conn)
	assert.ErrorIs(t, conn.Publish("ticket:created", make([]byte, n)), nats.ErrMaxPayload)
}

func TestMaxChannels(t *testing.T) {
	srv := start(t, devserver.MaxChannels(1))
	conn := connect(t, srv, "client")
	require.NoError(t, conn.Publish("ticket:created", nil))
	assert.ErrorContains(t, conn.Publish("ticket:updated", nil), "too many channels")
}

func TestMaxSubscriptions(t *testing.T) {
	srv := start(t, devserver.MaxSubscriptions(1))
	conn := connect(t, srv, "client")
	_, err := conn.Subscribe("ticket:created", func(*stan.Msg) {})
	require.NoError(t, err)
	_, err = conn.Subscribe("ticket:created", func(*stan.Msg) {})
	assert.ErrorContains(t, err, "too many subscriptions")
}

func TestMaxMessages(t *testing.T) {
	srv := start(t, devserver.MaxMessages(1))
	conn := connect(t, srv, "client")
	require.NoError(t, conn.Publish("ticket:created", []byte("pushed out")))
	require.NoError(t, conn.Publish("ticket:created", []byte("kept")))
	assertKept(t, conn)
}

func TestLogger(t *testing.T) {
	logOf := func(level slog.Level) string {
		var out bytes.Buffer // the handler locks while it writes, and nothing is written after Shutdown
		srv := start(t, devserver.Logger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))))
		connect(t, srv, "orders-1")
		srv.Shutdown()
		return out.String()
	}
	info := logOf(slog.LevelInfo)
	assert.Contains(t, info, `msg="Streaming Server is ready" part=streaming`)
	assert.Contains(t, info, "Listening for client connections on 127.0.0.1:")
	assert.Contains(t, info, "part=nats")
	assert.NotContains(t, info, "level=DEBUG")
	assert.Contains(t, logOf(slog.LevelDebug), "[Client:orders-1] Connected")
	assert.Empty(t, logOf(slog.LevelError+1))

	start(t, devserver.Logger(nil)) // quiet
}
