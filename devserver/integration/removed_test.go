package integration_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/devserver/faults/proxy"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/jetstream"
)

// small starts a NATS Streaming server whose channels keep 10 events, and connects to it.
func small(t *testing.T, clientID string) (ownServer, *client.Client, *lockedBuffer) {
	t.Helper()
	s := startServer(t, devserver.MaxMessages(10), devserver.WithoutJetStream())
	log := &lockedBuffer{}
	return s, smallClient(t, s, clientID, s.server.URL(), log), log
}

func smallClient(t *testing.T, s ownServer, clientID, url string, log *lockedBuffer) *client.Client {
	t.Helper()
	c, err := client.Build(deadline(t), s.server.ClusterID(), clientID, url, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// all returns the losses that were told. Nothing more is told once the client is closed.
func (w watched) all(t *testing.T, c *client.Client) (lost []client.Removed) {
	t.Helper()
	closeClient(t, c)
	for e := range w.events {
		if e.Kind == client.EventMessagesRemoved {
			require.Error(t, e.Err)
			lost = append(lost, e.Removed)
		}
	}
	return lost
}

// TestRemovedWhileADurableWasAway: NATS Streaming's limit removes events before a durable
// listens again. They are told once, exactly, with the remedy.
func TestRemovedWhileADurableWasAway(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	_, c, log := small(t, "away")
	events := watch(t, c)
	in := newInbox()
	l, err := listener.New(c, "", into[tag](in), listener.DurableName("d"))
	require.NoError(t, err)
	publish[tag](t, c, 5)
	r := begin(t, l)
	require.Equal(t, count(5), in.take(t, 5))
	require.NoError(t, r.end(t))
	publishFrom[tag](t, c, 6, 40)
	r = begin(t, l)
	require.Equal(t, countFrom(31, 40), in.take(t, 10))
	require.NoError(t, r.end(t))
	r = begin(t, l)
	publishFrom[tag](t, c, 41, 41)
	require.Equal(t, []int{41}, in.take(t, 1))
	require.NoError(t, r.end(t))
	require.Equal(t, []client.Removed{{Subject: subject, Durable: "d", First: 6, Last: 30, Count: 25}}, events.all(t, c), "each loss is told once")
	require.Contains(t, log.String(), "-mm", "the log has the remedy")
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))
}

// TestRemovedWhileListening: a listener is slower than the limit.
func TestRemovedWhileListening(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	_, c, _ := small(t, "slow")
	events := watch(t, c)
	in, free := newInbox(), make(chan struct{})
	listen(t, c, "", func(ctx context.Context, e note[tag], d listener.Delivery) error {
		in.put(e.N, d)
		select {
		case <-free:
		case <-ctx.Done():
		}
		return nil
	}, listener.Ephemeral(), listener.MaxInFlight(2))
	publish[tag](t, c, 2)
	in.take(t, 1)
	publishFrom[tag](t, c, 3, 40)
	close(free)
	require.Equal(t, append([]int{2}, countFrom(31, 40)...), in.take(t, 11))
	require.Equal(t, []client.Removed{{Subject: subject, First: 3, Last: 30, Count: 28}}, events.all(t, c))
}

// TestRemovedWhileTheLinkWasAway: a listener goes on where it was, with a durable and without.
func TestRemovedWhileTheLinkWasAway(t *testing.T) {
	t.Parallel()
	type durable struct{}
	type none struct{}
	t.Run("with a durable", func(t *testing.T) { t.Parallel(); removedWithoutLink[durable](t, listener.DurableName("d")) })
	t.Run("without", func(t *testing.T) { t.Parallel(); removedWithoutLink[none](t, listener.Ephemeral()) })
}

func removedWithoutLink[Tag any](t *testing.T, opt listener.Option) {
	t.Helper()
	fresh[Tag](t)
	s, publisher, _ := small(t, "publisher")
	link, err := proxy.Start(strings.TrimPrefix(s.server.URL(), "nats://"))
	require.NoError(t, err)
	t.Cleanup(link.Close)
	c := smallClient(t, s, "listener", "nats://"+link.Addr(), &lockedBuffer{})
	events := watch(t, c)
	in := newInbox()
	listen(t, c, "", into[Tag](in), opt)
	publish[Tag](t, publisher, 5)
	require.Equal(t, count(5), in.take(t, 5))
	link.Refuse(true)
	link.Cut()
	events.until(t, client.EventDisconnected)
	publishFrom[Tag](t, publisher, 6, 40)
	link.Refuse(false)
	require.Equal(t, countFrom(31, 40), in.take(t, 10))
	lost := events.all(t, c)
	require.Len(t, lost, 1)
	require.Equal(t, [3]uint64{6, 30, 25}, [3]uint64{lost[0].First, lost[0].Last, lost[0].Count})
}

// TestNothingWasRemoved: what was removed before a listener existed was promised to nobody;
// and a member of a group can't tell what is missing from what another member has.
func TestNothingWasRemoved(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	_, c, _ := small(t, "new")
	events := watch(t, c)
	in := newInbox()
	publish[tag](t, c, 40)
	listen(t, c, "", into[tag](in), listener.DurableName("d"))
	require.Equal(t, countFrom(31, 40), in.take(t, 10))
	listen(t, c, "", into[tag](in), listener.Ephemeral())
	require.Equal(t, countFrom(31, 40), in.take(t, 10))
	name := group()
	members := newInbox()
	listen(t, c, name, into[tag](members))
	listen(t, c, name, into[tag](members))
	members.take(t, 10)
	for n := 41; n <= 60; n++ {
		publishFrom[tag](t, c, n, n)
		in.take(t, 2)
		members.take(t, 1)
	}
	require.Empty(t, events.all(t, c))
}

// TestRemovedBeforeItsRedelivery: an event that failed is removed before it comes again.
func TestRemovedBeforeItsRedelivery(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	_, c, _ := small(t, "failed")
	events := watch(t, c)
	in, free := newInbox(), make(chan struct{})
	var once sync.Once
	listen(t, c, "", func(_ context.Context, e note[tag], d listener.Delivery) error {
		in.put(e.N, d)
		if e.N == 1 {
			return listener.RetryAfter(time.Minute, errors.New("not now"))
		}
		once.Do(func() { <-free })
		return nil
	}, listener.DurableName("d"), listener.MaxInFlight(3), listener.AckWait(30*time.Second))
	publish[tag](t, c, 3)
	require.Equal(t, []int{1, 2}, in.take(t, 2))
	publishFrom[tag](t, c, 4, 40)
	close(free)
	require.Equal(t, append([]int{3}, countFrom(31, 40)...), in.take(t, 11))
	require.Equal(t, []client.Removed{{Subject: subject, Durable: "d", First: 1, Last: 30, Count: 28}}, events.all(t, c))
}

// TestJetStreamRemoved: the stream's limit, or a purge, removes events before a listener has them.
func TestJetStreamRemoved(t *testing.T) {
	t.Parallel()
	type away struct{}
	type grouped struct{}
	type slow struct{}
	type purged struct{}
	type others struct{}
	type subjectLimit struct{}
	t.Run("a durable was away", func(t *testing.T) { t.Parallel(); removedWhileAway[away](t, "") })
	t.Run("a group was away", func(t *testing.T) { t.Parallel(); removedWhileAway[grouped](t, group()) })
	t.Run("a listener is slow", func(t *testing.T) {
		t.Parallel()
		subject := string(fresh[slow](t))
		s := newStream(t)
		s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}, MaxMsgs: 10})
		c := s.connect(t, subject)
		events := watch(t, c)
		in, free := newInbox(), make(chan struct{})
		listen(t, c, "", func(ctx context.Context, e note[slow], d listener.Delivery) error {
			in.put(e.N, d)
			select {
			case <-free:
			case <-ctx.Done():
			}
			return nil
		}, listener.Ephemeral(), listener.MaxInFlight(1))
		publish[slow](t, c, 1)
		require.Equal(t, []int{1}, in.take(t, 1))
		publishFrom[slow](t, c, 2, 40)
		close(free)
		require.Equal(t, countFrom(31, 40), in.take(t, 10))
		lost, _ := events.until(t, client.EventMessagesRemoved)
		require.LessOrEqual(t, lost.Removed.First, uint64(2), "which events of those were removed isn't known")
		lost.Removed.First = 2
		require.Equal(t, client.Removed{Subject: subject, First: 2, Last: 30, Count: 29, AtMost: true}, lost.Removed)
		require.Empty(t, events.all(t, c))
	})
	t.Run("an operator purges", func(t *testing.T) {
		t.Parallel()
		subject := string(fresh[purged](t))
		s := newStream(t)
		c := s.connect(t, subject)
		events := watch(t, c)
		in, free := newInbox(), make(chan struct{})
		listen(t, c, "", func(ctx context.Context, e note[purged], d listener.Delivery) error {
			in.put(e.N, d)
			select {
			case <-free:
			case <-ctx.Done():
			}
			return nil
		}, listener.DurableName("d"), listener.MaxInFlight(1))
		publish[purged](t, c, 20)
		require.Equal(t, []int{1}, in.take(t, 1))
		stream, err := s.raw.Stream(deadline(t), s.name)
		require.NoError(t, err)
		require.NoError(t, stream.Purge(deadline(t)))
		close(free)
		publishFrom[purged](t, c, 21, 21)
		require.Equal(t, []int{21}, in.take(t, 1))
		lost, _ := events.until(t, client.EventMessagesRemoved)
		require.LessOrEqual(t, lost.Removed.First, uint64(2))
		lost.Removed.First = 2
		require.Equal(t, client.Removed{Subject: subject, Durable: "d", First: 2, Last: 20, Count: 19, AtMost: true}, lost.Removed)
		require.Empty(t, events.all(t, c))
	})
	t.Run("by the limit of each subject, within the stream", func(t *testing.T) {
		t.Parallel()
		subject := string(fresh[subjectLimit](t))
		s := newStream(t)
		other := subject + ".other"
		s.create(t, js.StreamConfig{Subjects: []string{subject, other, "dead.*." + subject}, MaxMsgsPerSubject: 10})
		_, err := s.raw.Publish(deadline(t), other, nil) // which stays the stream's first
		require.NoError(t, err)
		c, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(subject, other, "dead.*."+subject)})
		require.NoError(t, err)
		events := watch(t, c)
		in := newInbox()
		l, err := listener.New(c, "", into[subjectLimit](in), listener.DurableName("d"))
		require.NoError(t, err)
		publish[subjectLimit](t, c, 5)
		r := begin(t, l)
		require.Equal(t, count(5), in.take(t, 5))
		require.NoError(t, r.end(t))
		publishFrom[subjectLimit](t, c, 6, 40)
		begin(t, l)
		require.Equal(t, countFrom(31, 40), in.take(t, 10))
		lost, _ := events.until(t, client.EventMessagesRemoved)
		require.Equal(t, client.Removed{Subject: subject, Durable: "d", First: 7, Last: 31, Count: 25, AtMost: true}, lost.Removed)
		require.Empty(t, events.all(t, c))
	})
	t.Run("a listener that has all, of a quiet subject, is told nothing", func(t *testing.T) {
		t.Parallel()
		subject := string(fresh[others](t))
		s := newStream(t)
		other := subject + ".other"
		s.create(t, js.StreamConfig{Subjects: []string{subject, other, "dead.*." + subject}, MaxMsgs: 10})
		for range 20 { // what was removed before it began is no loss
			_, err := s.raw.Publish(deadline(t), other, nil)
			require.NoError(t, err)
		}
		c, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(subject, other, "dead.*."+subject)})
		require.NoError(t, err)
		events := watch(t, c)
		in := newInbox()
		l, err := listener.New(c, "", into[others](in), listener.DurableName("d"))
		require.NoError(t, err)
		r := begin(t, l)
		publish[others](t, c, 5)
		require.Equal(t, count(5), in.take(t, 5))
		for range 7 {
			_, err := s.raw.Publish(deadline(t), other, nil)
			require.NoError(t, err)
		}
		require.NoError(t, r.end(t))
		r = begin(t, l)
		publishFrom[others](t, c, 6, 6)
		require.Equal(t, []int{6}, in.take(t, 1))
		require.NoError(t, r.end(t))
		require.Empty(t, events.all(t, c))
	})
}

func removedWhileAway[Tag any](t *testing.T, queue string) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}, MaxMsgs: 10})
	build := func() *client.Client {
		c, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(subject, "dead.*."+subject)})
		require.NoError(t, err)
		t.Cleanup(func() { closeClient(t, c) })
		return c
	}
	c := build()
	in := newInbox()
	publish[Tag](t, c, 5)
	listening := listen(t, c, queue, into[Tag](in), listener.DurableName("d"))
	require.Equal(t, count(5), in.take(t, 5))
	require.NoError(t, listening.end(t))
	publishFrom[Tag](t, c, 6, 40)
	closeClient(t, c)
	c = build() // another process
	events := watch(t, c)
	listen(t, c, queue, into[Tag](in), listener.DurableName("d"))
	require.Equal(t, countFrom(31, 40), in.take(t, 10))
	lost, _ := events.until(t, client.EventMessagesRemoved)
	require.Equal(t, client.Removed{Subject: subject, Group: queue, Durable: "d", First: 6, Last: 30, Count: 25, AtMost: true}, lost.Removed)
	require.Empty(t, events.all(t, c))
}
