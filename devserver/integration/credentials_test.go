package integration_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/jwt/v2"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
)

// startNATS starts a NATS server with options that devserver does not have.
func startNATS(t *testing.T, o natsserver.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.StoreDir = "127.0.0.1", natsserver.RANDOM_PORT, true, t.TempDir()
	s, err := natsserver.NewServer(&o)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(patience))
	return "nats://" + s.Addr().String()
}

// fromEnv makes one attempt to connect, or a few where that is how it goes.
func fromEnv(t *testing.T, url string, env map[string]string) error {
	t.Helper()
	for _, name := range []string{"NATS_TRANSPORT", "NATS_CLUSTER_ID", "NATS_CLIENT_ID"} {
		t.Setenv(name, "")
	}
	t.Setenv("NATS_URL", url)
	for name, value := range env {
		t.Setenv(name, value)
	}
	ctx, failed := context.WithCancel(deadline(t))
	defer failed()
	c, err := client.FromEnv(ctx, client.Logger(slog.New(slog.NewTextHandler(onWrite(failed), &slog.HandlerOptions{Level: slog.LevelWarn}))))
	if err == nil {
		closeClient(t, c)
	}
	for name := range env {
		t.Setenv(name, "")
	}
	return err
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// TestCredentialsFromEnv: each way to log in works, and none of them is needed by accident.
func TestCredentialsFromEnv(t *testing.T) {
	over := func(env map[string]string) map[string]string { env["NATS_TRANSPORT"] = "jetstream"; return env }

	streaming := startServer(t, devserver.Credentials("orders", "secret")).server.URL()
	require.ErrorIs(t, fromEnv(t, streaming, nil), client.ErrUnauthorized)
	require.ErrorIs(t, fromEnv(t, streaming, map[string]string{"NATS_USER": "orders", "NATS_PASSWORD": "wrong"}), client.ErrUnauthorized)
	require.NoError(t, fromEnv(t, streaming, map[string]string{"NATS_USER": "orders", "NATS_PASSWORD": "secret"}))
	require.NoError(t, fromEnv(t, streaming, over(map[string]string{"NATS_USER": "orders", "NATS_PASSWORD": "secret"})))

	token := startNATS(t, natsserver.Options{JetStream: true, Authorization: "secret"})
	require.ErrorIs(t, fromEnv(t, token, over(map[string]string{})), client.ErrUnauthorized)
	require.NoError(t, fromEnv(t, token, over(map[string]string{"NATS_TOKEN": "secret"})))

	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := user.PublicKey()
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	nkey := startNATS(t, natsserver.Options{JetStream: true, Nkeys: []*natsserver.NkeyUser{{Nkey: public}}})
	require.ErrorIs(t, fromEnv(t, nkey, over(map[string]string{})), client.ErrUnauthorized)
	require.NoError(t, fromEnv(t, nkey, over(map[string]string{"NATS_NKEY_SEED_FILE": writeFile(t, seed)})))
}

// TestCredentialsFileFromEnv against a server that takes JWTs alone. It has no JetStream, which
// would need more of them, and a client that is told so was let in.
func TestCredentialsFileFromEnv(t *testing.T) {
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	account, err := nkeys.CreateAccount()
	require.NoError(t, err)
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	key := func(pair nkeys.KeyPair) string {
		public, err := pair.PublicKey()
		require.NoError(t, err)
		return public
	}
	accountJWT, err := jwt.NewAccountClaims(key(account)).Encode(operator)
	require.NoError(t, err)
	userJWT, err := jwt.NewUserClaims(key(user)).Encode(account)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	creds, err := jwt.FormatUserConfig(userJWT, seed)
	require.NoError(t, err)

	resolver := &natsserver.MemAccResolver{}
	require.NoError(t, resolver.Store(key(account), accountJWT))
	url := startNATS(t, natsserver.Options{TrustedKeys: []string{key(operator)}, AccountResolver: resolver})
	env := map[string]string{"NATS_TRANSPORT": "jetstream"}
	require.ErrorIs(t, fromEnv(t, url, env), client.ErrUnauthorized)
	env["NATS_CREDS"] = writeFile(t, creds)
	err = fromEnv(t, url, env)
	require.ErrorIs(t, err, client.ErrNoCluster)
	require.ErrorContains(t, err, "has no JetStream")
}

// TestTLSFromEnv: the server's certificate is trusted by NATS_CA, and the client's own, which
// the server demands, comes from NATS_CERT and NATS_KEY.
func TestTLSFromEnv(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	private, err := x509.MarshalPKCS8PrivateKey(web.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	certFile, keyFile := writeFile(t, certificate), writeFile(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))

	url := startNATS(t, natsserver.Options{JetStream: true, TLSConfig: &tls.Config{
		Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert,
	}})
	env := map[string]string{"NATS_TRANSPORT": "jetstream"}
	err = fromEnv(t, url, env)
	require.ErrorIs(t, err, client.ErrNoServer)
	require.ErrorContains(t, err, "NATS_CA")
	env["NATS_CA"] = certFile
	err = fromEnv(t, url, env)
	require.ErrorIs(t, err, client.ErrNoServer)
	require.ErrorContains(t, err, "NATS_CERT")
	env["NATS_CERT"], env["NATS_KEY"] = certFile, keyFile
	require.NoError(t, fromEnv(t, url, env))
}
