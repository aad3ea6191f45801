package integration_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// TestPublishWhileDisconnected: it waits, and what its context ends is not stored,
// and not stored later either.
func TestPublishWhileDisconnected(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	var dial cutDialer
	lost, back := make(chan struct{}), make(chan struct{})
	c := connect(t, client.NATS(nats.SetCustomDialer(&dial), nats.ReconnectWait(10*time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				close(lost)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { close(back) })))
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	publish[tag](t, c, 1)

	dial.cut()
	<-lost
	brief, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err = p.Publish(brief, note[tag]{N: 2})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "there was no connection to the streaming server")
	waits, err := p.PublishAsync(deadline(t), note[tag]{N: 3})
	require.NoError(t, err)

	dial.off.Store(false)
	<-back
	require.NoError(t, waits.Wait(deadline(t)))
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 4}))
	box := newInbox()
	listen(t, c, group(), into[tag](box))
	require.Equal(t, []int{1, 3, 4}, box.take(t, 3))
}

// TestEndingWhileTheServerIsAway: calls keep to their contexts, say what the server
// did not confirm, and leave nothing behind.
func TestEndingWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	s := startServer(t)
	c, err := client.Build(deadline(t), s.server.ClusterID(), "left-alone", s.server.URL(), quiet())
	require.NoError(t, err)
	l, err := listener.New(c, group(), into[tag](newInbox()))
	require.NoError(t, err)
	s.server.Shutdown()

	brief := func() context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	begun := time.Now()
	require.Error(t, l.DeleteDurable(brief()))
	require.NoError(t, l.Listen(brief()), "it ends with its context, and the listener was free")
	require.ErrorContains(t, c.Close(brief()), `the server could not be told of the end of client "left-alone"`)
	require.Less(t, time.Since(begun), patience/2)
	require.ErrorIs(t, c.Err(), client.ErrClosed)
}

// TestSecretsAreNotTold: the password in a URL is in no error and in no log.
func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	s := startServer(t, devserver.Credentials("orders", secret), devserver.StoreDir(t.TempDir()))
	at := func(address string) string {
		u, err := url.Parse(address)
		require.NoError(t, err)
		u.User = url.UserPassword("orders", secret)
		return u.String()
	}
	var log lockedBuffer
	all := client.Logger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for address, is := range map[string]error{
		at("nats://127.0.0.1:1"):                                               client.ErrNoServer,
		at("nats://127.0.0.1:1") + "," + at("nats://127.0.0.1:2"):              client.ErrNoServer,
		at("tls" + s.server.URL()[len("nats"):]):                               client.ErrNoServer,
		at(s.server.URL()) + "x":                                               client.ErrInvalid, // its port
		at("amqp://127.0.0.1"):                                                 client.ErrInvalid,
		"nats://orders:" + secret + "wrong@" + s.server.URL()[len("nats://"):]: client.ErrUnauthorized,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := client.Build(ctx, s.server.ClusterID(), "orders-1", address, all)
		cancel()
		require.ErrorIs(t, err, is)
		require.NotContains(t, err.Error(), secret)
	}
	_, err := client.Build(shortly(t), "another", "orders-1", at(s.server.URL()), all)
	require.ErrorIs(t, err, client.ErrNoCluster)
	require.NotContains(t, err.Error(), secret)

	back := make(chan struct{})
	c, err := client.Build(deadline(t), s.server.ClusterID(), "orders-1", at(s.server.URL()), all,
		client.NATS(nats.ReconnectWait(10*time.Millisecond), nats.ReconnectHandler(func(*nats.Conn) { close(back) })))
	require.NoError(t, err)
	require.NoError(t, s.server.Restart())
	<-back
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "reconnected to the NATS server") }, patience, 10*time.Millisecond)
	require.NoError(t, c.Close(deadline(t)))
	require.NotContains(t, log.String(), secret)
}

// TestNameOfTheConnection is the client ID, unless an option gives another.
func TestNameOfTheConnection(t *testing.T) {
	t.Parallel()
	if server.monitor == "" {
		t.Skip("the monitoring of the server at NATS_URL is not known: set NATS_MONITOR_URL")
	}
	id, mine := "named-"+group(), "mine-"+group()
	connectAs(t, id)
	connect(t, client.NATS(nats.Name(mine)))

	defer http.DefaultClient.CloseIdleConnections()
	response, err := http.Get(server.monitor + "/connz?limit=10000")
	require.NoError(t, err)
	defer response.Body.Close()
	var page struct {
		Connections []struct {
			Name string `json:"name"`
		} `json:"connections"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&page))
	names := make([]string, 0, len(page.Connections))
	for _, c := range page.Connections {
		names = append(names, c.Name)
	}
	require.Contains(t, names, id)
	require.Contains(t, names, mine)
}
