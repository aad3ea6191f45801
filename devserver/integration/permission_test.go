package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
)

// TestBuildWithoutPermission: the server takes the credentials, but not what a
// streaming client has to send. It may be granted later, so Build goes on.
func TestBuildWithoutPermission(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.Users(devserver.User{
		Name: "orders", Password: "secret", Publish: devserver.Permission{Deny: []string{"_STAN.>"}},
	})).server

	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // two attempts
	defer cancel()
	_, err := client.Build(ctx, s.ClusterID(), "orders-1", s.URL(), quiet(), client.NATS(nats.UserInfo("orders", "secret")))
	require.ErrorIs(t, err, client.ErrForbidden)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, `_STAN.discover.ticketing`)
	require.ErrorContains(t, err, "check that the server grants this user the permissions")
}

// TestSubscriptionLimit: the error says what helps, and what helps does.
func TestSubscriptionLimit(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	c := startServer(t, devserver.MaxSubscriptions(1)).connect(t)
	old, err := listener.New(c, group(), into[tag](newInbox()))
	require.NoError(t, err)
	require.NoError(t, begin(t, old).end(t)) // whose durable stays
	more, err := listener.New(c, group(), into[tag](newInbox()))
	require.NoError(t, err)
	err = more.Listen(deadline(t))
	require.ErrorContains(t, err, "too many subscriptions per channel; raise the server's limit of subscriptions (-msu; 0 for none), or delete the durables")
	require.NoError(t, old.DeleteDurable(deadline(t)))
	require.NoError(t, begin(t, more).end(t))
}
