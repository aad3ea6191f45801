package integration_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// renamed is an event that another package declares, too.
type renamed[Tag any] struct {
	N int `json:"n"`
}

func (renamed[Tag]) Subject() subjects.Subject { return note[Tag]{}.Subject() }

func listenRenamed[Tag any](t *testing.T, c *client.Client, group string, opts ...listener.Option) error {
	t.Helper()
	l, err := listener.New(c, group, func(context.Context, renamed[Tag], listener.Delivery) error { return nil }, opts...)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(deadline(t))
	defer stop()
	ready := l.Ready()
	go func() {
		select {
		case <-ready:
			stop()
		case <-ctx.Done():
		}
	}()
	return l.Listen(ctx)
}

// TestTwoTypesInAGroup: two listeners of one client would share the events, and each could
// decode what is of its type alone. The second one is refused, with the names of both.
func TestTwoTypesInAGroup(t *testing.T) {
	t.Parallel()
	type overStan struct{}
	type overJetStream struct{}
	t.Run("NATS Streaming", func(t *testing.T) {
		t.Parallel()
		fresh[overStan](t)
		twoTypesInAGroup[overStan](t, connect(t))
	})
	t.Run("JetStream", func(t *testing.T) {
		t.Parallel()
		twoTypesInAGroup[overJetStream](t, newStream(t).connect(t, string(fresh[overJetStream](t))))
	})
}

func twoTypesInAGroup[Tag any](t *testing.T, c *client.Client) {
	t.Helper()
	name, in := group(), newInbox()
	first := listen(t, c, name, into[Tag](in))
	err := listenRenamed[Tag](t, c, name)
	require.ErrorIs(t, err, client.ErrInvalid)
	for _, text := range []string{"integration_test.note[", "integration_test.renamed[", name, string(note[Tag]{}.Subject())} {
		require.ErrorContains(t, err, text)
	}
	require.NoError(t, listenRenamed[Tag](t, c, group()), "another group")
	require.NoError(t, listenRenamed[Tag](t, c, ""), "no group")
	second := listen(t, c, name, into[Tag](in))
	publish[Tag](t, c, 10)
	require.ElementsMatch(t, count(10), in.take(t, 10))
	require.NoError(t, first.end(t))
	require.ErrorIs(t, listenRenamed[Tag](t, c, name), client.ErrInvalid, "one member listens still")
	require.NoError(t, second.end(t))
	require.NoError(t, listenRenamed[Tag](t, c, name), "nobody listens any more")
}

// TestJetStreamTwoTypesOfTwoClients: the consumer names the type, so that the second client warns.
func TestJetStreamTwoTypesOfTwoClients(t *testing.T) {
	t.Parallel()
	type tag struct{}
	const warning = "the consumer was made for another type of events"
	subject := string(fresh[tag](t))
	s := newStream(t)
	name := group()
	require.NoError(t, listen(t, s.connect(t, subject), name, into[tag](newInbox())).end(t))

	var log lockedBuffer
	c := s.connect(t, subject, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, listen(t, c, name, into[tag](newInbox())).end(t))
	require.NoError(t, listenRaw(t, c, subjects.Subject(subject), ignore))
	require.NotContains(t, log.String(), warning)
	require.NoError(t, listenRenamed[tag](t, c, name))
	for _, text := range []string{warning, "level=WARN", "integration_test.note[", "integration_test.renamed[", "UpdateConsumer"} {
		require.Contains(t, log.String(), text)
	}

	updating, err := s.build(t, "updating", []jetstream.Option{jetstream.OnlySubjects(subject, "dead.*."+subject), jetstream.UpdateConsumer()})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, updating) })
	require.NoError(t, listenRenamed[tag](t, updating, name))
	require.Contains(t, s.consumer(t, subject, name).Config.Metadata["event_type"], "renamed[")
	var quieter lockedBuffer
	require.NoError(t, listenRenamed[tag](t, s.connect(t, subject, client.Logger(slog.New(slog.NewTextHandler(&quieter, nil)))), name))
	require.NotContains(t, quieter.String(), warning)

	// What operators have made names none.
	s.makeConsumer(t, subject, "theirs", func(c *js.ConsumerConfig) { c.AckWait = 30 * time.Second })
	require.NoError(t, listenRenamed[tag](t, c, "theirs", listener.AckWait(30*time.Second)))
	require.NotContains(t, log.String(), "theirs event_type")
}
