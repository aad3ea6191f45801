package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
)

// natsServer answers as a NATS server does at first, and ends each connection when
// TLS is agreed on. It returns its address.
func natsServer(t *testing.T, secure *tls.Config) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"max_payload\":1048576,\"tls_required\":%v}\r\n", secure != nil)
			if secure != nil {
				_ = tls.Server(conn, secure).HandshakeContext(t.Context())
			}
			_, _ = conn.Read(make([]byte, 1024))
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// firstAttempt is what the first attempt to connect fails with.
func firstAttempt(t *testing.T, url string, opts ...nats.Option) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	given := []client.Option{client.Logger(slog.New(slog.NewTextHandler(onWrite(stop), nil)))}
	if opts != nil {
		given = append(given, client.NATS(opts...))
	}
	_, err := client.Build(ctx, "ticketing", "orders-1", url, given...)
	require.ErrorIs(t, err, client.ErrNoServer)
	return err
}

// TestTheCauseIsNamed when nothing listens: nats.go says only that no server is available.
func TestTheCauseIsNamed(t *testing.T) {
	t.Parallel()
	err := firstAttempt(t, "nats://127.0.0.1:1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "no server at nats://127.0.0.1:1: connection refused")
}

// onWrite is called when something is logged.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// TestTLSThatDoesNotFit: what to check is said of each end's own.
func TestTLSThatDoesNotFit(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())

	plain := natsServer(t, nil)
	const unavailable = "secure connection not available; check that the server is set up for TLS"
	require.ErrorContains(t, firstAttempt(t, plain, nats.Secure()), unavailable)
	require.ErrorContains(t, firstAttempt(t, "tls://"+plain), unavailable)

	secure := natsServer(t, &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	require.ErrorContains(t, firstAttempt(t, secure), "check that this host trusts the server's certificate")

	mutual := natsServer(t, &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert})
	require.ErrorContains(t, firstAttempt(t, mutual, nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})),
		"check what the server demands of TLS, such as a client certificate")
}
