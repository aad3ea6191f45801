package natsconn_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://localhost:4222":              "nats://localhost:4222",
		"nats://user:secret@host":            "nats://***@host",
		"user:secret@host":                   "***@host",
		"token@a,nats://u:p@ss@b, ws://c":    "***@a,nats://***@b, ws://c",
		"nats://user:secret@[::1:bad-brack":  "nats://***@[::1:bad-brack",
		"":                                   "",
		"secret@://x":                        "***@://x",
		"nats://%zz:secret@host/with@inside": "nats://***@inside",
	} {
		require.Equal(t, want, natsconn.Redact(url), url)
	}
}

// TestConnectKeepsToItsContext with a server that accepts and says nothing.
func TestConnectKeepsToItsContext(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err = natsconn.Connect(ctx, transport.Config{URL: silent.Addr().String()}, func(*nats.Options) {},
		[]nats.Option{nats.Timeout(10 * time.Second)})
	require.ErrorIs(t, err, transport.ErrNoServer)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(started), 8*time.Second)
}
