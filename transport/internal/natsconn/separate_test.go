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

// silentServer accepts connections and says nothing. It returns its address.
func silentServer(t *testing.T) string {
	t.Helper()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	return silent.Addr().String()
}

// TestSeparateKeepsToItsContext with a server that says nothing, and when it is closed.
func TestSeparateKeepsToItsContext(t *testing.T) {
	t.Parallel()
	s := natsconn.NewSeparate(transport.Config{URL: silentServer(t), ClientID: "orders"}, []nats.Option{nats.Timeout(10 * time.Second)})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := s.NATSConn(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, transport.ErrNoServer, "as the attempt of Build that ctx cut short")
	require.Less(t, time.Since(began), 8*time.Second)

	waited := make(chan error)
	go func() {
		_, err := s.NATSConn(context.Background())
		waited <- err
	}()
	time.Sleep(50 * time.Millisecond) // either order is right; mostly it waits by now
	began = time.Now()
	require.NoError(t, s.CloseNATS(t.Context()))
	require.ErrorIs(t, <-waited, transport.ErrClosed)
	require.Less(t, time.Since(began), 8*time.Second, "the attempt under way is not waited for")
	_, err = s.NATSConn(t.Context())
	require.ErrorIs(t, err, transport.ErrClosed)
}

// TestSeparateFailsAtOnce where no further attempt can succeed.
func TestSeparateFailsAtOnce(t *testing.T) {
	t.Parallel()
	s := natsconn.NewSeparate(transport.Config{URL: "ftp://nowhere", ClientID: "orders"}, nil)
	_, err := s.NATSConn(t.Context())
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.NoError(t, s.CloseNATS(t.Context()))
}
