package integration_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamBuildRefuses, and says what to do.
func TestJetStreamBuildRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a server without JetStream", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, devserver.WithoutJetStream()).server
		_, err := client.Build(shortly(t), "ticketing", "orders", s.URL(), quiet(), client.JetStream())
		require.ErrorIs(t, err, client.ErrNoCluster)
		require.ErrorContains(t, err, "has no JetStream: start it with -js")
		require.NotContains(t, err.Error(), "-cid")
	})
	t.Run("a missing permission", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, devserver.Users(devserver.User{
			Name: "orders", Password: "secret", Publish: devserver.Permission{Deny: []string{"$JS.API.>"}},
		})).server
		began := time.Now()
		_, err := client.Build(shortly(t), "ticketing", "orders", s.URL(), quiet(), client.JetStream(), client.NATS(nats.UserInfo("orders", "secret")))
		require.ErrorIs(t, err, client.ErrForbidden)
		require.ErrorContains(t, err, "$JS.API.STREAM.INFO.ticketing")
		require.ErrorContains(t, err, "needs to publish to $JS.API.>")
		require.ErrorContains(t, err, "the permissions that a JetStream client needs")
		require.Less(t, time.Since(began), patience)
	})
	t.Run("a stream that is missing, where none may be made", func(t *testing.T) {
		t.Parallel()
		s := newStream(t)
		_, err := client.Build(shortly(t), s.name, "orders", s.url, quiet(), client.JetStream(jetstream.BindOnly()))
		require.ErrorIs(t, err, client.ErrNoCluster)
		require.ErrorContains(t, err, "with option BindOnly it is not made")
	})
	t.Run("a stream that is another one", func(t *testing.T) {
		t.Parallel()
		s := newStream(t)
		s.create(t, js.StreamConfig{Subjects: []string{s.name}, Retention: js.WorkQueuePolicy, NoAck: true})
		_, err := s.build(t, "orders", []jetstream.Option{jetstream.FileStorage()})
		require.ErrorIs(t, err, client.ErrInvalid)
		for _, field := range []string{"retention is WorkQueue, not Limits", "storage is Memory, not File", "no_ack is true, not false"} {
			require.ErrorContains(t, err, field)
		}
	})
	t.Run("subjects that another stream has", func(t *testing.T) {
		t.Parallel()
		first, second := newStream(t), newStream(t)
		first.create(t, js.StreamConfig{Subjects: []string{first.name + ".>"}})
		overlapping, own := first.name+".*", second.name+".own"
		for _, create := range []bool{true, false} {
			if !create {
				second.create(t, js.StreamConfig{Subjects: []string{own}})
			}
			_, err := second.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(own, overlapping), jetstream.AddSubjects()})
			require.ErrorIs(t, err, client.ErrInvalid)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "subjects of stream \""+second.name+"\"")
			require.ErrorContains(t, err, "stream \""+first.name+"\" has subjects of "+overlapping)
			require.ErrorContains(t, err, "OnlySubjects")
		}
	})
	t.Run("settings that JetStream refuses", func(t *testing.T) {
		t.Parallel()
		for says, opts := range map[string][]jetstream.Option{
			"with the subjects $JS.API.x": {jetstream.OnlySubjects("$JS.API.x")},
			"with the subjects >":         {jetstream.OnlySubjects(">")},
			"option Replicas (3)":         {jetstream.OnlySubjects("replicated"), jetstream.Replicas(3)},
		} {
			_, err := newStream(t).build(t, "orders", opts)
			require.ErrorIs(t, err, client.ErrInvalid)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, says)
		}
	})
	t.Run("a stream that lacks a subject", func(t *testing.T) {
		t.Parallel()
		s := newStream(t)
		s.create(t, js.StreamConfig{Subjects: []string{s.name}})
		extra := s.name + ".more"
		_, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(extra)})
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, extra)
		require.ErrorContains(t, err, "option AddSubjects")

		c, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(extra), jetstream.AddSubjects()})
		require.NoError(t, err)
		closeClient(t, c)
		require.Equal(t, []string{s.name, extra}, s.info(t).Config.Subjects)
	})
}

// TestJetStreamNewStream holds the catalogue.
func TestJetStreamNewStream(t *testing.T) {
	t.Parallel()
	server := startServer(t).server
	c, err := client.Build(deadline(t), "ticketing", "orders", server.URL(), quiet(), client.JetStream())
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	p, err := publisher.New[events.ExpirationComplete](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), events.ExpirationComplete{OrderID: "o1"}))

	// Another client finds it as it is.
	again, err := client.Build(deadline(t), "ticketing", "orders", server.URL(), quiet(), client.JetStream())
	require.NoError(t, err, "JetStream has no client IDs that could be taken")
	closeClient(t, again)
}

// TestJetStreamStreamOfATeam has the subjects that the team names, and none of the platform's.
func TestJetStreamStreamOfATeam(t *testing.T) {
	t.Parallel()
	s := streamOn(t, startServer(t).server.URL())
	c, err := s.build(t, "seating", nil, client.Subjects("seat:assigned", "seating.>"))
	require.NoError(t, err)
	closeClient(t, c)
	require.Equal(t, []string{"seat:assigned", "seating.>", "dead.>"}, s.info(t).Config.Subjects)

	// The transport by itself knows no subject, and makes no stream named like one.
	cfg := transport.Config{ClusterID: "another", ClientID: "seating", URL: s.url}
	_, err = jetstream.Dialer()(deadline(t), cfg)
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, "option Subjects")
	cfg.ClusterID = s.name
	conn, err := jetstream.Dialer()(deadline(t), cfg)
	require.NoError(t, err, "a stream that is there will do")
	require.NoError(t, conn.Close(deadline(t)))
}

// TestJetStreamTuning: what differs is used as it is, with a warning, unless it is
// to be changed.
func TestJetStreamTuning(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}, MaxMsgs: 100, Duplicates: time.Minute})
	log := &lockedBuffer{}
	logged := client.Logger(slog.New(slog.NewTextHandler(log, nil)))
	asked := []jetstream.Option{jetstream.OnlySubjects(subject, "dead.*."+subject), jetstream.MaxMessages(200), jetstream.DuplicateWindow(time.Minute)}
	c, err := s.build(t, "orders", asked, logged)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	require.Contains(t, log.String(), "max_msgs is 100, not 200")
	require.NotContains(t, log.String(), "duplicate_window")
	require.Equal(t, int64(100), s.info(t).Config.MaxMsgs)

	tuned, err := s.build(t, "orders", append(asked, jetstream.UpdateStream(), jetstream.UpdateConsumer(), jetstream.MaxAckPending(50)))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, tuned) })
	require.Equal(t, int64(200), s.info(t).Config.MaxMsgs)

	name := group()
	consumer := func() js.ConsumerConfig {
		c, err := s.raw.Consumer(deadline(t), s.name, jetstream.ConsumerName(subject, name, ""))
		require.NoError(t, err)
		return c.CachedInfo().Config
	}
	in := newInbox()
	require.NoError(t, listen(t, c, name, into[tag](in)).end(t))
	require.Equal(t, 5*time.Second, consumer().AckWait)
	require.NoError(t, listen(t, c, name, into[tag](in), listener.AckWait(7500*time.Millisecond)).end(t))
	require.Contains(t, log.String(), "ack_wait is 5s, not 7.5s")
	require.Contains(t, log.String(), "ack_wait=5s", "the server's is used")
	require.Equal(t, 5*time.Second, consumer().AckWait)
	require.NoError(t, listen(t, tuned, name, into[tag](in), listener.AckWait(7500*time.Millisecond)).end(t))
	require.Equal(t, 7500*time.Millisecond, consumer().AckWait)
	require.Equal(t, 50, consumer().MaxAckPending)
}

// TestJetStreamListenRefuses, and says what to do.
func TestJetStreamListenRefuses(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	stream := s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}})
	c := s.connect(t, subject)
	listens := func(c *client.Client, group string, opts ...listener.Option) error {
		l, err := listener.New(c, group, into[tag](newInbox()), opts...)
		require.NoError(t, err)
		return l.Listen(deadline(t))
	}

	name := group()
	_, err := stream.CreateConsumer(deadline(t), js.ConsumerConfig{
		Durable: jetstream.ConsumerName(subject, name, ""), AckPolicy: js.AckAllPolicy, DeliverPolicy: js.DeliverNewPolicy, FilterSubject: ">",
	})
	require.NoError(t, err)
	err = listens(c, name)
	require.ErrorIs(t, err, client.ErrInvalid)
	for _, field := range []string{"filter_subject is >, not " + subject, "ack_policy is AckAll, not AckExplicit", "DeleteDurable"} {
		require.ErrorContains(t, err, field)
	}
	l, err := listener.New(c, name, into[tag](newInbox()))
	require.NoError(t, err)
	require.NoError(t, l.DeleteDurable(deadline(t)))
	require.NoError(t, begin(t, l).end(t), "it is made anew")

	// A durable that knows where it stands can't be told to begin elsewhere.
	err = listens(c, name, listener.StartAt(listener.NewOnly))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "StartAt has no effect on a consumer that is there")

	bound, err := s.build(t, "bound", []jetstream.Option{jetstream.BindOnly()})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, bound) })
	require.NoError(t, listen(t, bound, name, into[tag](newInbox())).end(t), "one that is there will do")
	err = listens(bound, group())
	require.ErrorContains(t, err, "with option BindOnly it is not made")

	type other struct{}
	fresh[other](t)
	wrong, err := listener.New(c, group(), into[other](newInbox()))
	require.NoError(t, err)
	err = wrong.Listen(deadline(t))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option AddSubjects")

	// A stream that takes no dead letters would lose what can't be handled.
	type alone struct{}
	without, err := newStream(t).build(t, "without", []jetstream.Option{jetstream.OnlySubjects(string(fresh[alone](t))), jetstream.MemoryStorage()})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, without) })
	g := group()
	careless, err := listener.New(without, g, into[alone](newInbox()))
	require.NoError(t, err)
	err = careless.Listen(deadline(t))
	require.ErrorIs(t, err, client.ErrInvalid)
	for _, text := range []string{"dead letters can't be stored", `lacks subject "dead.` + g, "option AddSubjects adds dead.>", "NoDeadLetters"} {
		require.ErrorContains(t, err, text)
	}
	require.NoError(t, listen(t, without, g, into[alone](newInbox()), listener.NoDeadLetters()).end(t))

	// A durable with members is not deleted below them.
	busy := listen(t, c, name, into[tag](newInbox()))
	require.Eventually(t, func() bool {
		consumer, err := s.raw.Consumer(deadline(t), s.name, jetstream.ConsumerName(subject, name, ""))
		return err == nil && consumer.CachedInfo().NumWaiting > 0
	}, patience, 10*time.Millisecond, "the server has its request for events")
	idle, err := listener.New(c, name, into[tag](newInbox()))
	require.NoError(t, err)
	require.ErrorContains(t, idle.DeleteDurable(deadline(t)), "end those first")
	require.NoError(t, busy.end(t))
}

// TestJetStreamPublishRefused: what is not stored, and what to do about it.
func TestJetStreamPublishRefused(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}, MaxMsgs: 2, Discard: js.DiscardNew, MaxMsgSize: 1000})
	c := s.connect(t, subject)
	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)

	err = p.Publish(deadline(t), note[tag]{Text: strings.Repeat("x", 2000)})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorIs(t, err, publisher.ErrTooLarge)
	require.ErrorContains(t, err, "MaxMsgSize")
	err = p.Publish(deadline(t), note[tag]{Text: strings.Repeat("x", 2_000_000)})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorIs(t, err, publisher.ErrTooLarge)
	require.ErrorContains(t, err, "max_payload")

	publish[tag](t, c, 2)
	err = p.Publish(deadline(t), note[tag]{N: 3})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, "is full and refuses what is new")
	require.ErrorContains(t, err, "DiscardOld")

	type other struct{}
	fresh[other](t)
	lacking, err := publisher.New[note[other]](c)
	require.NoError(t, err)
	err = lacking.Publish(deadline(t), note[other]{N: 1})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, "option AddSubjects")

	// Another stream has the subject: stored there, nobody here would get it.
	type elsewhere struct{}
	foreign := newStream(t)
	foreign.create(t, js.StreamConfig{Subjects: []string{string(fresh[elsewhere](t))}})
	wrong, err := publisher.New[note[elsewhere]](c)
	require.NoError(t, err)
	err = wrong.Publish(deadline(t), note[elsewhere]{N: 1})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, "another stream than")
	require.Zero(t, foreign.info(t).State.Msgs)
	require.NoError(t, context.Cause(t.Context()))
}
