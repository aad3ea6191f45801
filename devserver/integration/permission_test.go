package integration_test

import (
	"context"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
)

// TestBuildWithoutPermission: the server takes the credentials, but not what a
// streaming client has to send. It may be granted later, so Build goes on.
func TestBuildWithoutPermission(t *testing.T) {
	t.Parallel()
	denied := &natsserver.SubjectPermission{Deny: []string{"_STAN.>"}}
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true,
		Users: []*natsserver.User{{Username: "orders", Password: "secret", Permissions: &natsserver.Permissions{Publish: denied}}},
	})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(patience))

	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // two attempts
	defer cancel()
	_, err = client.Build(ctx, "ticketing", "orders-1", s.ClientURL(), quiet(), client.NATS(nats.UserInfo("orders", "secret")))
	require.ErrorIs(t, err, client.ErrForbidden)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, `_STAN.discover.ticketing`)
	require.ErrorContains(t, err, "check that the server grants this user the permissions")
}
