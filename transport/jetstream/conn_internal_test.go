package jetstream

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/lifecycle"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// stuckLink is a dialer whose connections don't close before closes is closed. Behind them
// is as much of a NATS server as a client needs to connect.
type stuckLink struct{ closes chan struct{} }

func (l stuckLink) Dial(string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		fmt.Fprint(server, "INFO {\"max_payload\":1048576,\"headers\":true}\r\n")
		for lines := bufio.NewScanner(server); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "PING") {
				fmt.Fprint(server, "PONG\r\n")
			}
		}
	}()
	return stuckConn{client, l.closes}, nil
}

type stuckConn struct {
	net.Conn

	closes chan struct{}
}

func (c stuckConn) Close() error {
	<-c.closes
	return c.Conn.Close()
}

// TestCloseEndsWithItsContext whatever nats.go and the transport's own goroutines do.
func TestCloseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, stuck := range map[string]struct{ link, goroutine bool }{
		"a link that does not close": {link: true},
		"a goroutine that hangs":     {goroutine: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			linkCloses, goroutineEnds := make(chan struct{}), make(chan struct{})
			nc, err := nats.Connect("nats://127.0.0.1:1", nats.SetCustomDialer(stuckLink{linkCloses}))
			require.NoError(t, err)
			c := &conn{
				Life: lifecycle.New(), Separate: natsconn.NewSeparate(transport.Config{}, nil), log: slog.New(slog.DiscardHandler), nc: nc,
				sender: newSender(publishPolicy(func() time.Duration { return time.Minute })),
			}
			c.watch.Notify = func(transport.Event) {}
			c.sender.attach(nc, nc.NewInbox()+".")
			c.Begin()
			c.background(func() { c.sender.write(c.Done()) })
			if stuck.goroutine {
				c.background(func() { <-goroutineEnds })
			}
			if !stuck.link {
				close(linkCloses)
			}

			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			closed := make(chan error, 1)
			go func() { closed <- c.Close(ctx) }()
			select {
			case err := <-closed:
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, "did not close in time")
			case <-time.After(10 * time.Second):
				t.Error("Close does not end with its context")
			}
			require.ErrorIs(t, c.Err(), transport.ErrClosed)

			if stuck.link {
				close(linkCloses)
			}
			close(goroutineEnds)
			c.running.Wait()
		})
	}
}
