package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/transport/jetstream"
)

// configured starts a server with JetStream that has more configuration, as its operators
// write it.
func configured(t *testing.T, more string) *natsserver.Server {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "server.conf")
	text := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\n%s", dir, more)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	o, err := natsserver.ProcessConfigFile(file)
	require.NoError(t, err)
	o.NoSigs, o.NoLog = true, true
	s, err := natsserver.NewServer(o)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(patience))
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// TestJetStreamAPIPrefix: an account that imports JetStream's API of another one under another
// name.
func TestJetStreamAPIPrefix(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	server := configured(t, fmt.Sprintf(`accounts {
		OWNER: {
			jetstream: enabled
			users: [{user: owner, password: secret}]
			exports: [
				{service: "$JS.API.>", response_type: stream}
				{service: "$JS.ACK.>"}
				{service: %[1]q}
				{service: "dead.>"}
			]
		}
		GUEST: {
			users: [{user: guest, password: secret}]
			imports: [
				{service: {account: OWNER, subject: "$JS.API.>"}, to: "JS.OWNER.API.>"}
				{service: {account: OWNER, subject: "$JS.ACK.>"}}
				{service: {account: OWNER, subject: %[1]q}}
				{service: {account: OWNER, subject: "dead.>"}}
			]
		}
	}`, subject))
	guest := &jetStream{url: server.ClientURL(), name: "ticketing"}
	as := client.NATS(nats.UserInfo("guest", "secret"))
	c, err := guest.build(t, "guest", []jetstream.Option{jetstream.OnlySubjects(subject, "dead.>"), jetstream.APIPrefix("JS.OWNER.API")}, as)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	publish[tag](t, c, 3)
	name, in := group(), newInbox()
	require.NoError(t, listen(t, c, name, into[tag](in)).end(t))
	listen(t, c, name, into[tag](in))
	require.ElementsMatch(t, count(3), in.take(t, 3))

	nc, err := nats.Connect(server.ClientURL(), nats.UserInfo("owner", "secret"))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	owner, err := js.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		consumer, err := owner.Consumer(deadline(t), "ticketing", jetstream.ConsumerName(subject, name, ""))
		return err == nil && consumer.CachedInfo().AckFloor.Stream == 3
	}, patience, 10*time.Millisecond, "all are acknowledged")
}
