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
	for name, c := range map[string]struct {
		after func(net.Listener) // what becomes of the server's address
		why   string
	}{
		"nobody listens":         {func(l net.Listener) { _ = l.Close() }, "connection refused"},
		"a proxy without server": {func(l net.Listener) { go answer(l, "") }, "does not answer as a NATS server does: EOF"},
		"another protocol":       {func(l net.Listener) { go answer(l, "SSH-2.0\r\n") }, "does not answer as a NATS server does: it begins with"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
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
			c.after(l)
			require.NoError(t, (<-accepted).Close())
			require.Eventually(t, func() bool { return strings.Contains(log.String(), "still no connection to the NATS server") }, time.Minute, 10*time.Millisecond)
			require.Contains(t, log.String(), c.why)
			nc.Close()
		})
	}
}

// answer writes the same to everybody who connects, and hangs up.
func answer(l net.Listener, text string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(c, text)
		_ = c.Close()
	}
}
