//go:build node

package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// awaitAcknowledged waits until the group has handled all events of the subject,
// so that none can come again.
func awaitAcknowledged(t *testing.T, srv *devserver.Server, subject subjects.Subject, group string) {
	t.Helper()
	nc, err := nats.Connect(srv.URL())
	require.NoError(t, err)
	defer nc.Close()
	stream, err := js.New(nc)
	require.NoError(t, err)
	eventually(t, "acknowledged", func() (any, bool) {
		consumer, err := stream.Consumer(deadline(t), srv.ClusterID(), jetstream.ConsumerName(string(subject), group, ""))
		require.NoError(t, err)
		info := consumer.CachedInfo()
		return info, info.NumPending == 0 && info.NumAckPending == 0
	})
}

// TestNodeReadsHeadersAndWhatGoPublishes: the payload is what it is on NATS
// Streaming, and what there is to say about it stands in headers.
func TestNodeReadsHeadersAndWhatGoPublishes(t *testing.T) {
	t.Parallel()
	requireSamples(t)
	srv := serve(t)
	c := connect(t, srv, "go-publisher", client.JetStream())
	from := time.Now()
	require.NoError(t, publishAll(deadline(t), c, fromGo))
	to := time.Now()

	var got collection[arrival]
	l := listenWith(t, srv, "node-listener", got.add, "jetstream.js", "read")
	all := got.await(t, len(fromGo))
	l.leave(t)
	require.Len(t, all, len(fromGo))
	ids := make(map[string]bool)
	for i, a := range all {
		assert.Empty(t, a.Problem, "%s %d", a.Subject, a.Sequence)
		assert.Equal(t, fromGo[i].Subject(), a.Subject)

		one := func(name string) string {
			t.Helper()
			require.Len(t, a.Headers[name], 1, "%s of %s %d", name, a.Subject, a.Sequence)
			return a.Headers[name][0]
		}
		assert.Equal(t, "1.0", one("ce-specversion"))
		assert.Equal(t, string(a.Subject), one("ce-type"))
		assert.Equal(t, "/"+srv.ClusterID()+"/go-publisher", one("ce-source"))
		assert.Equal(t, "application/json", one("ce-datacontenttype"))
		assert.Equal(t, "application/json", one("Content-Type"))
		assert.Equal(t, one("Nats-Msg-Id"), one("ce-id"))
		ids[one("ce-id")] = true
		at, err := time.Parse(time.RFC3339Nano, one("ce-time"))
		assert.NoError(t, err)
		assert.WithinRange(t, at, from, to)
	}
	assert.Len(t, ids, len(fromGo), "each event has an ID of its own")
}

func TestGoReadsWhatNodePublishesToJetStream(t *testing.T) {
	t.Parallel()
	requireSamples(t)
	srv := serve(t)
	connect(t, srv, "maker-of-the-stream", client.JetStream(), client.Subjects(subjects.All()...)) // Node asks for none
	require.Equal(t, len(fromNode), publishWith(t, srv, "jetstream.js", []string{"publish", "--samples"}, nil))
	for subject, kind := range kinds {
		t.Run(string(subject), func(t *testing.T) {
			t.Parallel()
			c := connect(t, srv, strings.ReplaceAll(string(subject), ":", "-"), client.JetStream())
			kind.receive(t, c, func(int) { awaitAcknowledged(t, srv, subject, interop) })
		})
	}
}

// TestGoReadsHeadersFromNode: those that are there, whatever they are called.
func TestGoReadsHeadersFromNode(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	type received struct {
		event  events.TicketCreated
		header listener.Header
	}
	var got collection[received]
	l := listenWithClient(t, connect(t, srv, "go", client.JetStream()), group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
		got.add(received{e, d.Header})
		return nil
	})
	require.Equal(t, 3, publishWith(t, srv, "jetstream.js", []string{"publish"}, []request{
		{Subject: subject, Data: ticket(1)},
		{Subject: subject, Data: ticket(2), Headers: map[string]string{"traceparent": "00-1-2-01"}},
		{Subject: subject, Data: ticket(3), Headers: map[string]string{"ce-type": "ticket:created", "ce-id": "n3", "Nats-Msg-Id": "n3"}},
	}))
	got.await(t, 3)
	awaitAcknowledged(t, srv, subject, group)
	l.leave(t)
	require.Equal(t, []received{
		{ticket(1), nil},
		{ticket(2), listener.Header{"traceparent": {"00-1-2-01"}}},
		{ticket(3), listener.Header{"ce-type": {"ticket:created"}, "ce-id": {"n3"}, "Nats-Msg-Id": {"n3"}}},
	}, got.list())
}

func joinGoOnJetStream(t *testing.T, srv *devserver.Server, clientID string, got *collection[handled]) service {
	t.Helper()
	return listenWithClient(t, connect(t, srv, clientID, client.JetStream()), group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
		got.add(handled{e, clientID, d.Redelivered})
		return nil
	})
}

// joinNodeOnJetStream adds a member that binds to the consumer of the Go members.
func joinNodeOnJetStream(t *testing.T, srv *devserver.Server, clientID string, got *collection[handled]) service {
	t.Helper()
	return listenWith(t, srv, clientID, handledBy(t, clientID, got), "jetstream.js", "listen", jetstream.ConsumerName(string(subject), group, ""))
}

// TestGroupOnJetStream: services of both languages share the group's consumer,
// which goes on where it stood, whichever member comes back.
func TestGroupOnJetStream(t *testing.T) {
	t.Parallel()
	const (
		waiting = 50  // events that are there when the first member joins
		all     = 250 // and what there is when a team leaves
	)
	srv := serve(t)
	publisher := connect(t, srv, "go-publisher", client.JetStream(), client.Subjects(subjects.All()...)) // Node publishes first
	// publish is half the work of a Go service and half that of a Node service.
	publish := func(first, last int) {
		half := (first + last) / 2
		require.Equal(t, half-first+1, publishWith(t, srv, "jetstream.js", []string{"publish"}, requests(tickets(first, half))))
		publishFromGo(t, publisher, tickets(half+1, last))
	}
	goes, node := joinGoOnJetStream, joinNodeOnJetStream
	for i, members := range []team{
		{"1-go": goes, "2-node": node, "3-go": goes, "4-node": node}, // the first one makes the consumer
		{"1-node": node, "2-node": node},
		{"1-node": node, "2-go": goes, "3-node": node, "4-go": goes},
		{"1-go": goes, "2-go": goes},
	} {
		before := i * all
		publish(before+1, before+waiting)
		var got collection[handled]
		joined := members.join(t, srv, &got, func() {})
		publish(before+waiting+1, before+all)
		got.await(t, all)
		awaitAcknowledged(t, srv, subject, group)
		leave(t, joined)
		requireOnce(t, got.list(), before+1, before+all)
		requireShared(t, slices.DeleteFunc(got.list(), func(h handled) bool { return h.event.Version <= int64(before+waiting) }), members)
	}
}

// TestRefusedOnJetStreamGoesToTheOtherKind: what one kind of member can't handle
// comes to the other.
func TestRefusedOnJetStreamGoesToTheOtherKind(t *testing.T) {
	t.Parallel()
	const last = 20
	for name, byGo := range map[string]bool{"refused by Go": true, "refused by Node": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t)
			var refused, got collection[handled]
			toGo, toNode, listen := &got, &refused, []string{"listen", "--refuse"}
			var answer error
			if byGo {
				toGo, toNode, listen, answer = &refused, &got, []string{"listen"}, errors.New("not now")
			}
			inGo := listenWithClient(t, connect(t, srv, "go", client.JetStream()), group, func(_ context.Context, e events.TicketCreated, d listener.Delivery) error {
				assert.Equal(t, d.Redelivered, d.Deliveries > 1, "%s: delivery %d", e.ID, d.Deliveries)
				toGo.add(handled{e, "go", d.Redelivered})
				return answer
			}, listener.AckWait(2*time.Second))
			inNode := listenWith(t, srv, "node", handledBy(t, "node", toNode), "jetstream.js", append(listen, jetstream.ConsumerName(string(subject), group, ""))...)
			publishFromGo(t, connect(t, srv, "go-publisher", client.JetStream()), tickets(1, last))
			got.await(t, last)
			awaitAcknowledged(t, srv, subject, group)
			inGo.leave(t)
			inNode.leave(t)
			requireHandledByTheOther(t, refused.list(), got.list(), last)
		})
	}
}
