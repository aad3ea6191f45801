package devserver_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver"
)

// TestSetUsers: permissions change under a connection that stays.
func TestSetUsers(t *testing.T) {
	may := devserver.User{Name: "a", Password: "p"}
	mayNot := devserver.User{Name: "a", Password: "p", Publish: devserver.Permission{Deny: []string{"x"}}}
	s, err := devserver.Start(devserver.Users(may))
	require.NoError(t, err)
	defer s.Shutdown()
	failed := make(chan error, 10)
	nc, err := nats.Connect(s.URL(), nats.UserInfo("a", "p"), nats.NoReconnect(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err }))
	require.NoError(t, err)
	defer nc.Close()
	for range 2 {
		require.NoError(t, s.SetUsers(mayNot))
		require.NoError(t, nc.Publish("x", nil))
		require.ErrorContains(t, <-failed, `Permissions Violation for Publish to "x"`)
		require.NoError(t, s.SetUsers(may))
		require.NoError(t, nc.Publish("x", nil))
		require.NoError(t, nc.Flush())
		require.Empty(t, failed)
	}
	require.ErrorContains(t, s.SetUsers(devserver.User{}), "SetUsers")
	s.Shutdown()
	require.ErrorContains(t, s.SetUsers(may), "SetUsers: the server is down")

	open, err := devserver.Start()
	require.NoError(t, err)
	defer open.Shutdown()
	require.ErrorContains(t, open.SetUsers(may), "start the server with Users")
}
