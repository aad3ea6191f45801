package integration_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/transport/jetstream"
)

// refused waits until the client says that its credentials are refused.
func refused(t *testing.T, c *client.Client) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, reason := range c.Status().Reasons {
			if strings.Contains(reason.Text, "refuses the credentials") {
				require.ErrorIs(t, reason.Err, client.ErrUnauthorized)
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond, "%+v", c.Status())
}

func well(t *testing.T, c *client.Client) {
	t.Helper()
	require.Eventually(t, func() bool {
		s := c.Status()
		return s.State == client.Connected && len(s.Reasons) == 0
	}, patience, 10*time.Millisecond, "%+v", c.Status())
}

// TestCredentialsRefusedForAWhile: a server that refuses the credentials for a while, as when a
// secret is replaced, ends nothing: the client says so, and comes back by itself.
func TestCredentialsRefusedForAWhile(t *testing.T) {
	t.Parallel()
	type streaming struct{}
	type stream struct{}
	t.Run("NATS Streaming", func(t *testing.T) { t.Parallel(); refusedForAWhile[streaming](t) })
	t.Run("JetStream", func(t *testing.T) {
		t.Parallel()
		subject := fresh[stream](t)
		refusedForAWhile[stream](t, client.JetStream(jetstream.OnlySubjects(string(subject), "dead.>")))
	})
}

func refusedForAWhile[Tag any](t *testing.T, opts ...client.Option) {
	t.Helper()
	if len(opts) == 0 {
		fresh[Tag](t)
	}
	dir, port := t.TempDir(), freePort(t)
	var s *devserver.Server
	start := func(password string) {
		var err error
		s, err = devserver.Start(devserver.StoreDir(dir), devserver.Port(port), devserver.Credentials("orders", password))
		require.NoError(t, err)
	}
	start("right")
	t.Cleanup(func() { s.Shutdown() }) // the last one, after the client
	c, err := client.Build(deadline(t), "ticketing", "orders", s.URL(), append([]client.Option{quiet(), client.NATS(nats.UserInfo("orders", "right"))}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	in := newInbox()
	listen(t, c, group(), into[Tag](in))
	publish[Tag](t, c, 3)
	require.Equal(t, count(3), in.take(t, 3))

	s.Shutdown()
	start("another")
	refused(t, c)
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, c.Healthy(soon), client.ErrUnauthorized)
	s.Shutdown()
	start("right")
	well(t, c)
	publishFrom[Tag](t, c, 4, 6)
	require.Equal(t, countFrom(4, 6), in.take(t, 3))
}

// TestJWTRenewedLate: a user's JWT that has expired and is renewed in its file a while later.
func TestJWTRenewedLate(t *testing.T) {
	t.Parallel()
	type tag struct{}
	key := func(pair nkeys.KeyPair, err error) (nkeys.KeyPair, string) {
		require.NoError(t, err)
		public, err := pair.PublicKey()
		require.NoError(t, err)
		return pair, public
	}
	operator, operatorKey := key(nkeys.CreateOperator())
	account, accountKey := key(nkeys.CreateAccount())
	_, systemKey := key(nkeys.CreateAccount())
	user, userKey := key(nkeys.CreateUser())
	resolver := &natsserver.MemAccResolver{}
	for _, name := range []string{accountKey, systemKey} {
		claims := jwt.NewAccountClaims(name)
		if name == accountKey {
			claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
		}
		token, err := claims.Encode(operator)
		require.NoError(t, err)
		require.NoError(t, resolver.Store(name, token))
	}
	url := startNATS(t, natsserver.Options{JetStream: true, TrustedKeys: []string{operatorKey}, AccountResolver: resolver, SystemAccount: systemKey})
	creds := func(validFor time.Duration) []byte {
		claims := jwt.NewUserClaims(userKey)
		claims.Expires = time.Now().Add(validFor).Unix()
		token, err := claims.Encode(account)
		require.NoError(t, err)
		seed, err := user.Seed()
		require.NoError(t, err)
		file, err := jwt.FormatUserConfig(token, seed)
		require.NoError(t, err)
		return file
	}
	path := writeFile(t, creds(3*time.Second))
	subject := fresh[tag](t)
	c, err := client.Build(deadline(t), "ticketing", "orders", url, quiet(),
		client.JetStream(jetstream.OnlySubjects(string(subject), "dead.>")), client.NATS(nats.UserCredentials(path)))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	publish[tag](t, c, 3)
	refused(t, c)
	require.NoError(t, os.WriteFile(path, creds(time.Hour), 0o600))
	well(t, c)
	publishFrom[tag](t, c, 4, 6)
}
