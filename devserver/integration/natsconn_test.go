package integration_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/transport/jetstream"
)

// brokers returns the option of the client for each broker.
func brokers() map[string]client.Option {
	return map[string]client.Option{
		"NATS Streaming": client.PublishWindow(100), // which changes nothing
		"JetStream":      client.JetStream(jetstream.MemoryStorage()),
	}
}

// monitored starts a server that tells its connections.
func monitored(t *testing.T) *devserver.Server {
	t.Helper()
	return startServer(t, devserver.MonitorPort(0), devserver.StoreDir(t.TempDir())).server
}

// connections returns the names of the connections that the server has, sorted.
func connections(t *testing.T, s *devserver.Server) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), http.MethodGet, s.MonitorURL()+"/connz", http.NoBody)
	require.NoError(t, err)
	web := &http.Transport{DisableKeepAlives: true}
	answer, err := web.RoundTrip(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	var all struct {
		Connections []struct {
			Name string `json:"name"`
		} `json:"connections"`
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&all))
	var names []string
	for _, c := range all.Connections {
		if !strings.HasPrefix(c.Name, "_") { // those of the streaming server itself
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// requireConnections waits until the server has the connections of those names alone.
func requireConnections(t *testing.T, s *devserver.Server, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return slices.Equal(want, connections(t, s)) }, patience, 10*time.Millisecond, "%q", want)
}

// answers checks that the connection works.
func answers(t *testing.T, nc *nats.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return nc.FlushTimeout(time.Second) == nil }, patience, 10*time.Millisecond)
	sub, err := nc.SubscribeSync("core.subject")
	require.NoError(t, err)
	require.NoError(t, nc.Publish("core.subject", []byte("x")))
	_, err = sub.NextMsgWithContext(deadline(t))
	require.NoError(t, err)
	require.NoError(t, sub.Unsubscribe())
}

// TestNATSConn: the connection is opened when it is asked for, opened again after it was
// closed or drained, and closed with the client.
func TestNATSConn(t *testing.T) {
	t.Parallel()
	for name, broker := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := monitored(t)
			log := &lockedBuffer{}
			var mu sync.Mutex
			var connected []string
			c, err := client.Build(deadline(t), s.ClusterID(), "orders", s.URL(), broker,
				client.Logger(slog.New(slog.NewTextHandler(log, nil))),
				client.NATS(nats.ConnectHandler(func(nc *nats.Conn) {
					mu.Lock()
					defer mu.Unlock()
					connected = append(connected, nc.Opts.Name)
				})))
			require.NoError(t, err)
			events := watch(t, c)
			requireConnections(t, s, "orders")

			first, err := c.NATSConn(deadline(t))
			require.NoError(t, err)
			requireConnections(t, s, "orders", "orders-nats")
			answers(t, first)
			same, err := c.NATSConn(deadline(t))
			require.NoError(t, err)
			require.Same(t, first, same)

			first.Close()
			second, err := c.NATSConn(deadline(t))
			require.NoError(t, err)
			require.NotSame(t, first, second)
			answers(t, second)
			requireConnections(t, s, "orders", "orders-nats")

			require.NoError(t, second.Drain())
			third, err := c.NATSConn(deadline(t))
			require.NoError(t, err)
			require.NotSame(t, second, third)
			requireConnections(t, s, "orders", "orders-nats")
			require.Equal(t, client.Connected, c.Status().State)
			require.NoError(t, c.Healthy(deadline(t)))
			require.Contains(t, log.String(), `msg="the NATS connection closed; it is opened again when it is asked for" connection=orders-nats`)
			mu.Lock()
			require.Equal(t, []string{"orders", "orders-nats", "orders-nats", "orders-nats"}, connected)
			mu.Unlock()

			closeClient(t, c)
			require.True(t, third.IsClosed())
			requireConnections(t, s)
			_, before := events.until(t, client.EventClosed)
			require.Empty(t, before, "nothing has happened to the events")
			_, err = c.NATSConn(deadline(t))
			require.ErrorIs(t, err, client.ErrClosed)
		})
	}
}

// TestNATSConnSharesAttempts: many who ask at once get one connection, each within the
// time it has.
func TestNATSConnSharesAttempts(t *testing.T) {
	t.Parallel()
	for name, broker := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := monitored(t)
			c, err := client.Build(deadline(t), s.ClusterID(), "orders", s.URL(), broker, quiet(), client.NATS(nats.Name("mine")))
			require.NoError(t, err)
			requireConnections(t, s, "mine")
			s.Shutdown()

			began := time.Now()
			brief, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			var asking sync.WaitGroup
			got := make([]*nats.Conn, 20)
			for i := range got {
				asking.Go(func() {
					var err error
					if got[i], err = c.NATSConn(deadline(t)); err != nil {
						t.Error(err)
					}
				})
			}
			_, err = c.NATSConn(brief)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, client.ErrNoServer, "it says what the last attempt failed of")
			require.Less(t, time.Since(began), patience/2)
			_, err = c.NATSConn(brief)
			require.ErrorIs(t, err, context.DeadlineExceeded)

			at, err := url.Parse(s.URL())
			require.NoError(t, err)
			port, err := strconv.Atoi(at.Port())
			require.NoError(t, err)
			s = startServer(t, devserver.Port(port), devserver.MonitorPort(0)).server
			asking.Wait()
			for _, nc := range got {
				require.NotNil(t, nc)
				require.Same(t, got[0], nc)
			}
			requireConnections(t, s, "mine", "mine-nats")
			closeClient(t, c)
			requireConnections(t, s)
		})
	}
}

// TestNATSConnEndsWithTheClient: those who wait for it are told, and a Close without time
// closes it all the same.
func TestNATSConnEndsWithTheClient(t *testing.T) {
	t.Parallel()
	for name, broker := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := monitored(t)
			build := func(id string) *client.Client {
				c, err := client.Build(deadline(t), s.ClusterID(), id, s.URL(), broker, quiet())
				require.NoError(t, err)
				return c
			}
			a, b := build("a"), build("b")
			nc, err := a.NATSConn(deadline(t))
			require.NoError(t, err)
			over, cancel := context.WithCancel(t.Context())
			cancel()
			_ = a.Close(over) // its error may be that there was no time
			require.Eventually(t, nc.IsClosed, patience, time.Millisecond)
			requireConnections(t, s, "b")

			s.Shutdown()
			waited := make(chan error, 1)
			go func() {
				_, err := b.NATSConn(context.Background())
				waited <- err
			}()
			select {
			case err := <-waited:
				require.FailNow(t, "the server is not there", "%v", err)
			case <-time.After(200 * time.Millisecond):
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = b.Close(ctx) // its error is that the server can't be told
			require.ErrorIs(t, <-waited, client.ErrClosed)
		})
	}
}

// TestNATSConnOutlivesTheServer, and its loss shows in the log alone, by name.
func TestNATSConnOutlivesTheServer(t *testing.T) {
	t.Parallel()
	for name, broker := range brokers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := monitored(t)
			log := &lockedBuffer{}
			c, err := client.Build(deadline(t), s.ClusterID(), "orders", s.URL(), broker, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
			require.NoError(t, err)
			nc, err := c.NATSConn(deadline(t))
			require.NoError(t, err)
			events := watch(t, c)
			require.NoError(t, s.Restart())
			events.until(t, client.EventReconnected)
			answers(t, nc)
			same, err := c.NATSConn(deadline(t))
			require.NoError(t, err)
			require.Same(t, nc, same)
			require.Contains(t, log.String(), `msg="connection to the NATS server lost; reconnecting" connection=orders-nats`)
			require.Contains(t, log.String(), `msg="connection to the NATS server lost; reconnecting" client=orders`)
			closeClient(t, c)
			_, rest := events.until(t, client.EventClosed)
			for _, e := range rest {
				require.NotEqual(t, client.EventDisconnected, e.Kind, "of the events' connection alone")
			}
		})
	}
}
