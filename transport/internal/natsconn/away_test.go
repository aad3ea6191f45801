package natsconn_test

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestServerThatStaysAway: the log goes on to say so, and why.
func TestServerThatStaysAway(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		accepted <- c
		fmt.Fprint(c, "INFO {\"max_payload\":1048576}\r\n")
		for lines := bufio.NewScanner(c); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "PING") {
				fmt.Fprint(c, "PONG\r\n")
			}
		}
	}()
	var log lockedBuffer
	w := &natsconn.Watch{Log: slog.New(slog.NewTextHandler(&log, nil))}
	nc, err := natsconn.Connect(t.Context(), transport.Config{URL: l.Addr().String()}, w.Apply, []nats.Option{nats.ReconnectWait(time.Hour)})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, (<-accepted).Close())
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "still no connection to the NATS server") }, time.Minute, 10*time.Millisecond)
	require.Contains(t, log.String(), "connection refused")
	nc.Close()
}
