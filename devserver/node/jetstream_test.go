//go:build node

package node_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/jetstream"
)

// onJetStream connects to the stream that has the server's cluster ID as its name.
func onJetStream(t *testing.T, srv *devserver.Server, clientID string) *client.Client {
	t.Helper()
	c, err := client.Build(deadline(t), srv.ClusterID(), clientID, srv.URL(), client.JetStream(), client.Logger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// listenOnJetStream starts a Go member of the group.
func listenOnJetStream(t *testing.T, c *client.Client, h listener.Handler[events.TicketCreated]) func() {
	t.Helper()
	l, err := listener.New(c, group, h)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	ended := make(chan error, 1)
	ready := l.Ready()
	go func() { ended <- l.Listen(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err, "Listen ended")
	}
	return func() {
		stop()
		require.NoError(t, <-ended)
	}
}

// message is one that came to jetstream.js.
type message struct {
	Subject     string               `json:"subject"`
	Sequence    uint64               `json:"sequence"`
	Redelivered bool                 `json:"redelivered"`
	Raw         []byte               `json:"raw"`
	Data        events.TicketCreated `json:"data"`
	Headers     map[string][]string  `json:"headers"`
	Ready       bool                 `json:"ready"`
}

// memberFromNode starts a Node member of the group, on the consumer that the Go
// members made.
func memberFromNode(t *testing.T, srv *devserver.Server, got func(message)) *process {
	t.Helper()
	ready := make(chan struct{})
	p := start(t, srv, "node", func(m message) {
		if m.Ready {
			close(ready)
			return
		}
		got(m)
	}, "jetstream.js", "listen", srv.ClusterID(), jetstream.ConsumerName(string(subject), group, ""))
	select {
	case <-ready:
	case <-p.exited:
		require.FailNow(t, "jetstream.js ended", "%v: %s", p.err, &p.stderr)
	case <-time.After(patience):
		require.FailNow(t, "jetstream.js does not listen")
	}
	return p
}

// TestJetStreamFromGoToNode: payload to the byte, and the metadata in headers.
func TestJetStreamFromGoToNode(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	c := onJetStream(t, srv, "go")
	listenOnJetStream(t, c, func(context.Context, events.TicketCreated, listener.Delivery) error { return nil })() // makes the consumer
	var got collection[message]
	node := memberFromNode(t, srv, got.add)
	publishFromGo(t, c, tickets(1, 3))
	for i, m := range got.await(t, 3) {
		want, err := json.Marshal(ticket(i + 1)) // no character of it is written in two ways
		require.NoError(t, err)
		assert.Equal(t, string(want), string(m.Raw))
		assert.Equal(t, ticket(i+1), m.Data)
		assert.Equal(t, string(subject), m.Subject)
		assert.Equal(t, []string{"1.0"}, m.Headers["ce-specversion"])
		assert.Equal(t, []string{string(subject)}, m.Headers["ce-type"])
		assert.Equal(t, []string{"/" + srv.ClusterID() + "/go"}, m.Headers["ce-source"])
		assert.Equal(t, []string{"application/json"}, m.Headers["ce-datacontenttype"])
		assert.Equal(t, []string{"application/json"}, m.Headers["Content-Type"])
		assert.Equal(t, m.Headers["Nats-Msg-Id"], m.Headers["ce-id"])
		assert.Len(t, m.Headers["ce-id"], 1)
		_, err = time.Parse(time.RFC3339Nano, m.Headers["ce-time"][0])
		assert.NoError(t, err)
	}
	node.terminate(t)
}

// TestJetStreamFromNodeToGo, with headers and without.
func TestJetStreamFromNodeToGo(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	c := onJetStream(t, srv, "go")
	type received struct {
		event  events.TicketCreated
		header listener.Header
	}
	var got collection[received]
	leave := listenOnJetStream(t, c, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
		got.add(received{e, d.Header})
		return nil
	})
	stored := make(chan int, 1)
	p := start(t, srv, "node", func(line struct {
		Stored int `json:"stored"`
	},
	) {
		stored <- line.Stored
	}, "jetstream.js", "publish", srv.ClusterID())
	stdin, _ := p.stdin.(io.Writer)
	lines := json.NewEncoder(stdin)
	type line struct {
		Subject string            `json:"subject"`
		Data    any               `json:"data"`
		Headers map[string]string `json:"headers,omitempty"`
	}
	require.NoError(t, lines.Encode(line{string(subject), ticket(1), nil}))
	require.NoError(t, lines.Encode(line{string(subject), ticket(2), map[string]string{"ce-type": "ticket:created", "trace": "x"}}))
	require.NoError(t, p.stdin.Close())
	p.wait(t)
	require.Equal(t, 2, <-stored)
	all := got.await(t, 2)
	require.Equal(t, ticket(1), all[0].event)
	require.Empty(t, all[0].header)
	require.Equal(t, ticket(2), all[1].event)
	require.Equal(t, []string{"x"}, all[1].header["trace"])
	require.Equal(t, []string{"ticket:created"}, all[1].header["ce-type"])
	leave()
}

// TestJetStreamSharedGroup: Go and Node members of one group share its events.
func TestJetStreamSharedGroup(t *testing.T) {
	t.Parallel()
	const n = 300
	srv := serve(t)
	c := onJetStream(t, srv, "go")
	var got collection[handled]
	leave := listenOnJetStream(t, c, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
		got.add(handled{e, "go", d.Redelivered})
		return nil
	})
	node := memberFromNode(t, srv, func(m message) { got.add(handled{m.Data, "node", m.Redelivered}) })
	publishFromGo(t, c, tickets(1, n))
	times, by := make(map[string]int), make(map[string]int)
	for _, h := range got.await(t, n) {
		times[h.event.ID]++
		by[h.by]++
	}
	require.Len(t, times, n, "each is handled once: %v", by)
	require.NotZero(t, by["go"])
	require.NotZero(t, by["node"])
	node.terminate(t)
	leave()
	require.Len(t, got.list(), n)
}
