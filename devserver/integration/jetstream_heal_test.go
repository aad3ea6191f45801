package integration_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/jetstream"
)

// deleteConsumers deletes all of the stream's.
func (s *jetStream) deleteConsumers(t *testing.T) {
	t.Helper()
	stream, err := s.raw.Stream(deadline(t), s.name)
	require.NoError(t, err)
	names := stream.ConsumerNames(deadline(t))
	for name := range names.Name() {
		require.NoError(t, stream.DeleteConsumer(deadline(t), name))
	}
	require.NoError(t, names.Err())
}

// consumer is the group's.
func (s *jetStream) consumer(t *testing.T, subject, group string) *js.ConsumerInfo {
	t.Helper()
	c, err := s.raw.Consumer(deadline(t), s.name, jetstream.ConsumerName(subject, group, ""))
	require.NoError(t, err)
	return c.CachedInfo()
}

// TestJetStreamPublisherMakesTheStreamAgain: of a server that was emptied, with
// nobody who listens. A Listen at such a moment makes it again, too.
func TestJetStreamPublisherMakesTheStreamAgain(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	server := startServer(t).server
	s := streamOn(t, server.URL())
	c := s.connect(t, subject)
	events := watch(t, c)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 1}))
	require.NoError(t, server.RestartEmpty())
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 2}))
	lost, _ := events.until(t, client.EventStoreLost)
	require.ErrorContains(t, lost.Err, "what it held is lost")

	require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 3}))
	events.until(t, client.EventStoreLost)
	require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
	in := newInbox()
	listen(t, c, group(), into[tag](in))
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 4}))
	require.Equal(t, 4, in.next(t).n)
}

// TestJetStreamReplaced: a stream that took the place of the old one while the
// connection was away, and holds more than that did, is read from its beginning.
func TestJetStreamReplaced(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	link, url := startProxy(t, s.url)
	direct := s.connect(t, subject)
	c := s.through(url).connect(t, subject)
	in := newInbox()
	listen(t, c, "", into[tag](in))
	publish[tag](t, direct, 10)
	in.take(t, 10)
	events := watch(t, c)
	link.Refuse(true)
	link.Cut()
	events.until(t, client.EventDisconnected)
	require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
	publishFrom[tag](t, direct, 101, 130)
	link.Refuse(false)
	seen := in.take(t, 30)
	slices.Sort(seen)
	require.Equal(t, countFrom(101, 130), seen)
	events.until(t, client.EventStoreLost)
}

// TestJetStreamGivenBackThenDeleted: an event that failed comes again though the
// consumer that knew of it was deleted.
func TestJetStreamGivenBackThenDeleted(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	c := s.connect(t, subject)
	in := newInbox()
	var failed atomic.Bool
	listen(t, c, "", func(_ context.Context, e note[tag], d listener.Delivery) error {
		if e.N == 1 && !failed.Swap(true) {
			return listener.RetryAfter(5*time.Second, errors.New("away")) // once the consumer is deleted, also on a busy machine
		}
		in.put(e.N, d)
		return nil
	}, listener.AckWait(time.Minute))
	publish[tag](t, c, 5)
	require.Equal(t, countFrom(2, 5), in.take(t, 4))
	s.deleteConsumers(t)
	require.Equal(t, 1, in.next(t).n)
}

// TestJetStreamRequestLimits: of a consumer that is there already.
func TestJetStreamRequestLimits(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}})
	name := group()
	config := js.ConsumerConfig{
		Durable: jetstream.ConsumerName(subject, name, ""), FilterSubject: subject, AckPolicy: js.AckExplicitPolicy, AckWait: 5 * time.Second,
		MaxRequestBatch: 8, MaxRequestExpires: 2 * time.Second, MaxRequestMaxBytes: 10,
	}
	_, err := s.raw.CreateConsumer(deadline(t), s.name, config)
	require.NoError(t, err)
	log := &lockedBuffer{}
	c := s.connect(t, subject, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	in := newInbox()
	publish[tag](t, c, 100)
	listen(t, c, name, into[tag](in))
	require.Equal(t, count(100), in.take(t, 100))
	require.NotContains(t, log.String(), "refuses requests")

	// It gets others while it is used.
	config.MaxRequestBatch = 1
	_, err = s.raw.UpdateConsumer(deadline(t), s.name, config)
	require.NoError(t, err)
	publishFrom[tag](t, c, 101, 200)
	require.Equal(t, countFrom(101, 200), in.take(t, 100))
	require.Contains(t, log.String(), "Exceeded MaxRequestBatch of 1")
}

// TestJetStreamLeaverAmongBusy: the last that waits leaves a group, and another
// handles an event still: the consumer stays, also that of a group without durable.
func TestJetStreamLeaverAmongBusy(t *testing.T) {
	t.Parallel()
	type ephemeral struct{}
	type durable struct{}
	t.Run("ephemeral", func(t *testing.T) { t.Parallel(); leaverAmongBusy[ephemeral](t, listener.Ephemeral()) })
	t.Run("durable", func(t *testing.T) { t.Parallel(); leaverAmongBusy[durable](t) })
}

func leaverAmongBusy[Tag any](t *testing.T, opts ...listener.Option) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	one, two := s.connect(t, subject), s.connect(t, subject)
	name := group()
	begun, release := make(chan struct{}, 10), make(chan struct{})
	var runs atomic.Int32
	busy := listen(t, one, name, func(context.Context, note[Tag], listener.Delivery) error {
		runs.Add(1)
		begun <- struct{}{}
		<-release
		return nil
	}, append(opts, listener.MaxInFlight(1))...)
	publish[Tag](t, two, 1)
	<-begun
	in := newInbox()
	leaver := listen(t, two, name, into[Tag](in), opts...)
	publishFrom[Tag](t, two, 2, 50)
	require.Equal(t, countFrom(2, 50), in.take(t, 49))
	require.NoError(t, leaver.end(t))
	stream, err := s.raw.Stream(deadline(t), s.name)
	require.NoError(t, err)
	require.Equal(t, 1, stream.CachedInfo().State.Consumers)
	close(release)
	publishFrom[Tag](t, two, 51, 51)
	<-begun
	require.NoError(t, busy.end(t))
	require.Equal(t, int32(2), runs.Load(), "nothing is handled twice")
}

// TestJetStreamHealedKnowsItsStart: a consumer that was made again is still the one
// that was asked for.
func TestJetStreamHealedKnowsItsStart(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	c := s.connect(t, subject)
	publish[tag](t, c, 20)
	in := newInbox()
	name, start := group(), listener.StartAt(listener.Sequence(2))
	first := listen(t, c, name, into[tag](in), start)
	require.Equal(t, countFrom(2, 20), in.take(t, 19))
	require.NoError(t, first.end(t))
	require.Eventually(t, func() bool { return s.consumer(t, subject, name).NumAckPending == 0 }, patience, 10*time.Millisecond,
		"the server takes acknowledgements in beside what is asked of it")
	first = listen(t, c, name, into[tag](in), start) // which knows how far the group is
	s.deleteConsumers(t)
	publishFrom[tag](t, c, 21, 21)
	require.Equal(t, 21, in.next(t).n)
	require.NoError(t, first.end(t))
	publishFrom[tag](t, c, 22, 22)
	listen(t, c, name, into[tag](in), start)
	require.Equal(t, 22, in.next(t).n)
	log := &lockedBuffer{}
	other := s.connect(t, subject, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	listen(t, other, name, into[tag](in), listener.StartAt(listener.Sequence(3)))
	require.Contains(t, log.String(), "option StartAt has no effect")
	require.Contains(t, log.String(), "opt_start_seq is 2, not 3")
}

// TestJetStreamAsksOnce: what was asked for over connections that are gone does not
// count at the server any more.
func TestJetStreamAsksOnce(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	link, url := startProxy(t, s.url)
	c := s.through(url).connect(t, subject)
	in := newInbox()
	name := group()
	listen(t, c, name, into[tag](in), listener.MaxInFlight(8))
	publish[tag](t, c, 20)
	in.take(t, 20)
	events := watch(t, c)
	for range 6 {
		link.Cut()
		events.until(t, client.EventReconnected)
		publish[tag](t, c, 1)
		in.take(t, 1)
	}
	require.Eventually(t, func() bool { return s.consumer(t, subject, name).NumWaiting <= 2 }, patience, 50*time.Millisecond)
}

// TestJetStreamManualAck: the ack wait begins anew when the handler has returned.
func TestJetStreamManualAck(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	name := group()
	var runs atomic.Int32
	acked := make(chan error, 10)
	for range 2 {
		listen(t, s.connect(t, subject), name, func(_ context.Context, _ note[tag], d listener.Delivery) error {
			runs.Add(1)
			time.Sleep(950 * time.Millisecond) // just before it is kept for the first time
			time.AfterFunc(2400*time.Millisecond, func() { acked <- d.Ack() })
			return nil
		}, listener.ManualAck(), listener.AckWait(3*time.Second))
	}
	publish[tag](t, s.connect(t, subject), 1)
	require.NoError(t, <-acked)
	require.Eventually(t, func() bool { return s.consumer(t, subject, name).NumAckPending == 0 }, patience, 10*time.Millisecond)
	require.Equal(t, int32(1), runs.Load())
}

// TestJetStreamDeadLink: a link that swallows all, and pings that do not find it.
func TestJetStreamDeadLink(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	link, url := startProxy(t, s.url)
	log := &lockedBuffer{}
	c := s.through(url).connect(t, subject, client.NATS(nats.PingInterval(time.Hour)), client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	in := newInbox()
	listen(t, c, group(), into[tag](in))
	direct := s.connect(t, subject)
	publish[tag](t, direct, 5)
	in.take(t, 5)
	events := watch(t, c)
	link.Drop()
	publishFrom[tag](t, direct, 6, 10)
	over := time.After(2 * patience)
	for back := false; !back; {
		select {
		case e := <-events.events:
			back = e.Kind == client.EventReconnected
		case <-over:
			require.FailNow(t, "the connection is believed to live")
		}
	}
	in.take(t, 5)
	require.Contains(t, log.String(), "no answer from JetStream")
}

// TestJetStreamClusterLosesAConsumersNode: a listener without durable goes on.
func TestJetStreamClusterLosesAConsumersNode(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	cluster, err := devserver.StartJetStreamCluster()
	require.NoError(t, err)
	t.Cleanup(cluster.Shutdown)
	s := streamOn(t, cluster.URL())
	c, err := client.Build(deadline(t), s.name, "alone", s.url, quiet(), client.JetStream(jetstream.OnlySubjects(subject, "dead.*."+subject), jetstream.Replicas(3)))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	in := newInbox()
	listen(t, c, "", into[tag](in))
	publish[tag](t, c, 5)
	in.take(t, 5)
	stream, err := s.raw.Stream(deadline(t), s.name)
	require.NoError(t, err)
	consumers := stream.ListConsumers(deadline(t))
	node := -1
	for info := range consumers.Info() {
		node = int(info.Cluster.Leader[len(info.Cluster.Leader)-1] - '0')
	}
	require.NoError(t, consumers.Err())
	require.NoError(t, cluster.Kill(node))
	publishFrom[tag](t, c, 6, 10)
	require.ElementsMatch(t, countFrom(6, 10), in.take(t, 5), "in what order they were stored, publishes tried again decide")
}
