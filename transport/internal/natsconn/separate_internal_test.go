package natsconn

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// startServer starts a server that accepts connections. It answers the first ping of each at
// once, and others when gate is closed. It returns the server's address.
func startServer(t *testing.T, gate <-chan struct{}) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = c.Write([]byte("INFO {\"max_payload\":1024}\r\n"))
				first := true
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if !strings.HasPrefix(lines.Text(), "PING") {
						continue
					}
					if !first {
						<-gate
					}
					first = false
					_, _ = c.Write([]byte("PONG\r\n"))
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestSeparateForgets a connection that was replaced while it drained, once it is closed.
func TestSeparateForgets(t *testing.T) {
	t.Parallel()
	closed, gate := make(chan struct{}, 10), make(chan struct{})
	s := NewSeparate(transport.Config{URL: startServer(t, gate), ClientID: "orders"},
		[]nats.Option{nats.ClosedHandler(func(*nats.Conn) { closed <- struct{}{} })})
	opened := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.opened)
	}
	for range 3 {
		nc, err := s.NATSConn(t.Context())
		require.NoError(t, err)
		require.NoError(t, nc.Drain()) // it waits for the answer to a ping
	}
	_, err := s.NATSConn(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, opened())
	close(gate)
	for range 3 {
		<-closed
	}
	require.Eventually(t, func() bool { return opened() == 1 }, 30*time.Second, time.Millisecond)
	require.NoError(t, s.CloseNATS(t.Context()))
	<-closed
}
