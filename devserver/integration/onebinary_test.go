package integration_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// jetStreamOptions are the options of JetStream, each by itself.
func jetStreamOptions() map[string][]jetstream.Option {
	return map[string][]jetstream.Option{
		"none": {}, "BindOnly": {jetstream.BindOnly()}, "AddSubjects": {jetstream.AddSubjects()},
		"UpdateStream": {jetstream.UpdateStream()}, "UpdateConsumer": {jetstream.UpdateConsumer()},
		"Subjects": {jetstream.Subjects("more.>")}, "OnlySubjects": {jetstream.OnlySubjects("expiration:complete", "dead.*.expiration:complete")},
		"Replicas": {jetstream.Replicas(1)}, "MemoryStorage": {jetstream.MemoryStorage()}, "FileStorage": {jetstream.FileStorage()},
		"DiscardOld": {jetstream.DiscardOld()}, "MaxAge": {jetstream.MaxAge(time.Hour)}, "MaxBytes": {jetstream.MaxBytes(1 << 20)},
		"MaxMessages": {jetstream.MaxMessages(1000)}, "DuplicateWindow": {jetstream.DuplicateWindow(time.Minute)},
		"MaxAckPending": {jetstream.MaxAckPending(100)}, "NATS": {jetstream.NATS(nats.Timeout(time.Minute))}, "Domain": {jetstream.Domain("hub")},
		"APIPrefix": {jetstream.APIPrefix("JS.hub.API")},
	}
}

// TestOneProgramForBothBrokers: the variable NATS_TRANSPORT alone decides. What is an option of
// one broker is none of the other, and no error there.
func TestOneProgramForBothBrokers(t *testing.T) {
	s := startServer(t).server
	for _, name := range []string{"NATS_USER", "NATS_CLUSTER_ID", "NATS_CREDS"} {
		t.Setenv(name, "")
	}
	t.Setenv("NATS_URL", s.URL())
	t.Setenv("NATS_CLUSTER_ID", s.ClusterID())
	for name, opts := range jetStreamOptions() {
		t.Setenv("NATS_CLIENT_ID", "test-"+rand.Text())
		t.Setenv("NATS_TRANSPORT", "streaming")
		service(t, name, client.JetStream(opts...))
		switch name {
		case "BindOnly", "Domain", "APIPrefix": // for a stream, and a domain, that are there
			continue
		}
		t.Setenv("NATS_TRANSPORT", "jetstream")
		t.Setenv("NATS_CLUSTER_ID", "stream-"+name)
		service(t, name, client.JetStream(opts...))
		deleteStream(t, s, "stream-"+name)
		t.Setenv("NATS_CLUSTER_ID", s.ClusterID())
	}
}

func deleteStream(t *testing.T, s *devserver.Server, name string) {
	t.Helper()
	require.NoError(t, streamOn(t, s.URL()).raw.DeleteStream(deadline(t), name))
}

// service is a program with options of both brokers: it publishes an event and handles it.
func service(t *testing.T, name string, opts ...client.Option) {
	t.Helper()
	c, err := client.FromEnv(deadline(t), append(opts, quiet(), client.Subjects(subjects.ExpirationComplete),
		listener.Defaults(
			listener.OrderingKey(func(e events.TicketUpdated) string { return e.ID }), listener.Validate(), listener.GiveBackAtEnd(),
			listener.InVersionOrder(listener.NewMemoryVersions()), listener.DurableName("durable"), listener.Concurrency(4),
		),
		publisher.Defaults(publisher.MessageID(func(e events.TicketUpdated) string { return e.ID })))...)
	require.NoError(t, err, name)
	defer closeClient(t, c)
	p, err := publisher.New[events.ExpirationComplete](c, publisher.MessageID(func(e events.ExpirationComplete) string { return e.OrderID }))
	require.NoError(t, err)
	order := rand.Text()
	require.NoError(t, p.Publish(deadline(t), events.ExpirationComplete{OrderID: order}), name)
	ctx, stop := context.WithCancel(deadline(t))
	handled := false
	l, err := listener.New(c, "one binary/"+name, func(_ context.Context, e events.ExpirationComplete, _ listener.Delivery) error {
		if e.OrderID == order {
			handled = true
			stop()
		}
		return nil
	}, listener.MaxInFlight(2), listener.MaxAttempts(1), listener.Backoff(time.Second, time.Second),
		listener.OrderingKey(func(e events.ExpirationComplete) string { return e.OrderID }))
	require.NoError(t, err)
	require.NoError(t, l.Listen(ctx), name)
	require.True(t, handled, name)
}
