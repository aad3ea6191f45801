package integration_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

var inMemory = []jetstream.Option{jetstream.MemoryStorage()}

// ownStream returns a stream that nobody has made yet, on a server of the test's own: streams
// of an account can't share dead.>.
func ownStream(t *testing.T) *jetStream {
	t.Helper()
	return streamOn(t, startServer(t).server.URL())
}

// join connects to the stream.
func (s *jetStream) join(t *testing.T, opts []jetstream.Option, more ...client.Option) *client.Client {
	t.Helper()
	c, err := s.build(t, "joins", opts, more...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

func (s *jetStream) subjects(t *testing.T) []string {
	t.Helper()
	return s.info(t).Config.Subjects
}

// set gives the stream that list of subjects, as an operator does.
func (s *jetStream) set(t *testing.T, list ...string) {
	t.Helper()
	config := s.info(t).Config
	config.Subjects = list
	_, err := s.raw.UpdateStream(deadline(t), config)
	require.NoError(t, err)
}

func publishRaw(ctx context.Context, c *client.Client, subject subjects.Subject) error {
	p, err := publisher.NewRaw(c)
	if err != nil {
		return err
	}
	return p.Publish(ctx, publisher.Message{Subject: subject, Data: []byte("{}")})
}

// listenRaw listens to the subject until the test ends, or returns why that can't be.
func listenRaw(t *testing.T, c *client.Client, subject subjects.Subject, h func() error, opts ...listener.Option) error {
	t.Helper()
	l, err := listener.NewRaw(c, subject, "group", func(context.Context, []byte, listener.Delivery) error { return h() }, opts...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), l.Ready()
	go func() { ended <- l.Listen(ctx) }()
	select {
	case <-ready:
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-ended)
		})
		return nil
	case err := <-ended:
		cancel()
		return err
	}
}

func ignore() error { return nil }

// TestJetStreamAddsSubjects: nobody names a subject a second time. A new stream has dead.>
// alone, and each publisher and listener adds its own, in whichever way it is used.
func TestJetStreamAddsSubjects(t *testing.T) {
	t.Parallel()
	type one struct{}
	type two struct{}
	type three struct{}
	type four struct{}
	s := ownStream(t)
	c := s.join(t, inMemory)
	require.Equal(t, []string{"dead.>"}, s.subjects(t))

	in := newInbox()
	want := []string{"dead.>", string(fresh[one](t))}
	listen(t, c, "group", into[one](in))
	require.Equal(t, want, s.subjects(t), "of a listener")
	publish[one](t, c, 3)
	require.Equal(t, count(3), in.take(t, 3))

	want = append(want, string(fresh[two](t)), string(fresh[three](t)), string(fresh[four](t)), "relayed")
	publish[two](t, c, 3) // by PublishAll
	p, err := publisher.New[note[three]](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), note[three]{N: 1}))
	async, err := publisher.New[note[four]](c)
	require.NoError(t, err)
	pending, err := async.PublishAsync(deadline(t), note[four]{N: 1})
	require.NoError(t, err)
	require.NoError(t, pending.Wait(deadline(t)))
	require.NoError(t, publishRaw(deadline(t), c, "relayed"))
	require.Equal(t, want, s.subjects(t), "of publishers")
	require.Equal(t, uint64(3+3+1+1+1), s.info(t).State.Msgs, "and all is stored")

	// Another client finds them, and changes nothing.
	other := s.join(t, inMemory)
	publish[two](t, other, 1)
	require.NoError(t, publishRaw(deadline(t), other, "relayed"))
	require.Equal(t, want, s.subjects(t))
}

// TestJetStreamAddsPatterns: a listener's pattern takes the place of the subjects that it
// covers, below their consumers. A pattern that the stream can't have is refused, and the
// error says what would do.
func TestJetStreamAddsPatterns(t *testing.T) {
	t.Parallel()
	s := ownStream(t)
	c := s.join(t, inMemory)
	created, all := make(chan struct{}, 10), make(chan struct{}, 10)
	into := func(arrived chan struct{}) func() error {
		return func() error { arrived <- struct{}{}; return nil }
	}
	require.NoError(t, listenRaw(t, c, "orders.created", into(created)))
	require.NoError(t, publishRaw(deadline(t), c, "orders.created"))
	<-created
	require.NoError(t, listenRaw(t, c, "orders.>", into(all)))
	require.Equal(t, []string{"dead.>", "orders.>"}, s.subjects(t))
	<-all // what was stored before
	require.NoError(t, publishRaw(deadline(t), c, "orders.created"))
	<-created
	<-all
	require.NoError(t, publishRaw(deadline(t), c, "orders.cancelled"))
	<-all
	require.Equal(t, []string{"dead.>", "orders.>"}, s.subjects(t))

	s.set(t, "dead.>", "orders.>", "seats.*.eu")
	err := listenRaw(t, c, "seats.taken.*", ignore)
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, `lacks subject "seats.taken.*"`)
	require.ErrorContains(t, err, "the stream has seats.*.eu")
	require.ErrorContains(t, err, `Subjects("seats.*.*")`)
	wider := s.join(t, inMemory, client.Subjects("seats.*.*"))
	require.NoError(t, listenRaw(t, wider, "seats.taken.*", ignore))
	require.Equal(t, []string{"dead.>", "orders.>", "seats.*.*"}, s.subjects(t))

	for _, pattern := range []subjects.Subject{"*.created", "*"} {
		err = listenRaw(t, c, pattern, ignore, listener.NoDeadLetters())
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, "begins with a wildcard")
	}
}

// TestJetStreamAddsWhatIsAskedFor at Build, such as what services in other languages use.
// What a stream has beside that stays.
func TestJetStreamAddsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := ownStream(t)
	s.join(t, inMemory, client.Subjects("a"))
	require.Equal(t, []string{"a", "dead.>"}, s.subjects(t))
	want := []string{"a", "dead.>"}
	for _, subject := range subjects.All() {
		want = append(want, string(subject))
	}
	s.join(t, inMemory, client.Subjects(subjects.All()...))
	require.Equal(t, want, s.subjects(t))
	s.join(t, inMemory)
	require.Equal(t, want, s.subjects(t))
}

// TestJetStreamDeadLettersHaveRoom in a stream that an operator has made without. Dead letters
// of its own, which somebody has given it, stay as they are.
func TestJetStreamDeadLettersHaveRoom(t *testing.T) {
	t.Parallel()
	s := ownStream(t) // no client has added "a", so that none adds it again
	s.create(t, js.StreamConfig{Subjects: []string{"a"}})
	s.join(t, inMemory)
	require.Equal(t, []string{"a", "dead.>"}, s.subjects(t))
	s.set(t, "a", "dead.*.a")
	s.join(t, inMemory)
	require.Equal(t, []string{"a", "dead.*.a"}, s.subjects(t), "somebody has given the stream dead letters of its own")
	s.set(t, "a")
	c := s.join(t, inMemory)
	require.NoError(t, publishRaw(deadline(t), c, "b"))
	require.Equal(t, []string{"a", "dead.>", "b"}, s.subjects(t))
	s.set(t, "a", "dead.*.a")
	own := []string{"a", "dead.*.a", "b"}
	require.Eventually(t, func() bool { return slices.Equal(own, s.subjects(t)) }, patience, 20*time.Millisecond, "and does so while clients run")
}

// TestJetStreamSubjectOfAnotherStream: the error names that stream, and one subject that is
// refused keeps no other out.
func TestJetStreamSubjectOfAnotherStream(t *testing.T) {
	t.Parallel()
	s := ownStream(t)
	other := streamOn(t, s.url)
	other.create(t, js.StreamConfig{Subjects: []string{"theirs.>", "dead.>"}})
	s.create(t, js.StreamConfig{Subjects: []string{"ours"}})
	c := s.join(t, inMemory)
	require.NoError(t, publishRaw(deadline(t), c, "ours"))

	err := publishRaw(deadline(t), c, "theirs.x")
	require.ErrorIs(t, err, publisher.ErrNotStored)
	for _, text := range []string{`subjects of stream "` + s.name + `"`, `stream "` + other.name + `" has subjects of theirs.x`, "cluster ID"} {
		require.ErrorContains(t, err, text)
	}
	require.Zero(t, other.info(t).State.Msgs)
	err = listenRaw(t, c, "theirs.y", ignore, listener.NoDeadLetters())
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, `stream "`+other.name+`" has subjects of theirs.y`)
	err = listenRaw(t, c, "ours", ignore)
	require.ErrorContains(t, err, "dead letters can't be stored")
	require.ErrorContains(t, err, `stream "`+other.name+`" has subjects of dead.group.ours`)
	require.NoError(t, listenRaw(t, c, "ours", ignore, listener.NoDeadLetters()))
	_, err = s.build(t, "asks", inMemory, client.Subjects("theirs.z"))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, `stream "`+other.name+`" has subjects of theirs.z`)

	var many sync.WaitGroup
	errs := make([]error, 3)
	for i, subject := range []subjects.Subject{"ours.too", "theirs.w", "ours.also"} {
		many.Go(func() { errs[i] = publishRaw(deadline(t), c, subject) })
	}
	many.Wait()
	require.NoError(t, errors.Join(errs[0], errs[2]))
	require.ErrorIs(t, errs[1], publisher.ErrNotStored)

	// An operator moves a subject while a client publishes on it.
	s.set(t, "ours", "ours.also")
	other.set(t, "theirs.>", "dead.>", "ours.too")
	err = publishRaw(deadline(t), c, "ours.too")
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, other.name)
}

// TestJetStreamSubjectsThatCross are refused, with a remedy that is not refused, too.
func TestJetStreamSubjectsThatCross(t *testing.T) {
	t.Parallel()
	s := &jetStream{url: startServer(t).server.URL(), name: "crossing"}
	s.join(t, inMemory, client.Subjects("seating.*.eu"))
	_, err := s.build(t, "wide", inMemory, client.Subjects("*.created"))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "the stream has dead.>, and neither takes in all of the other, so that it can't have both: name the subjects that are meant with option Subjects")
	_, err = s.build(t, "crossing", inMemory, client.Subjects("seating.taken.*"))
	require.ErrorContains(t, err, `option Subjects("seating.*.*") gives it one that takes in both`)
	s.join(t, inMemory, client.Subjects("seating.*.*"))
}

// TestJetStreamMayNotAdd: a client without the right to change the stream works as long as the
// stream takes what it uses. If not, the error says what is missing, and soon.
func TestJetStreamMayNotAdd(t *testing.T) {
	t.Parallel()
	server := startServer(t, devserver.Users(
		devserver.User{Name: "limited", Password: "secret", Publish: devserver.Permission{Deny: []string{"$JS.API.STREAM.UPDATE.>"}}},
		devserver.User{Name: "owner", Password: "secret"},
	)).server
	owner, limited := client.NATS(nats.UserInfo("owner", "secret")), client.NATS(nats.UserInfo("limited", "secret"))
	s := &jetStream{url: server.URL(), name: "shared"}
	owned := s.join(t, inMemory, owner, client.Subjects("ours"))

	began := time.Now()
	log := &lockedBuffer{}
	c := s.join(t, inMemory, limited, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	require.NoError(t, publishRaw(deadline(t), c, "ours"))
	require.NoError(t, listenRaw(t, c, "ours", ignore))
	require.NotContains(t, log.String(), "permission", "nothing is asked for that is there")
	for name, use := range map[string]func() error{
		"publish": func() error { return publishRaw(deadline(t), c, "missing") },
		"listen":  func() error { return listenRaw(t, c, "missing.too", ignore) },
		"build": func() error {
			_, err := s.build(t, "asks", inMemory, limited, client.Subjects("missing"))
			return err
		},
	} {
		err := use()
		require.ErrorIs(t, err, client.ErrForbidden, name)
		require.ErrorIs(t, err, client.ErrInvalid, name)
		require.NotErrorIs(t, err, context.Canceled, "nobody has cancelled "+name)
		for _, text := range []string{`stream "shared" lacks missing`, "ask who manages it to add", "$JS.API.STREAM.UPDATE.shared"} {
			require.ErrorContains(t, err, text)
		}
		require.Less(t, time.Since(began), patience)
	}
	require.ErrorIs(t, publishRaw(deadline(t), c, "missing"), publisher.ErrNotStored)

	// The owner adds it, and the client sees that by itself.
	require.NoError(t, publishRaw(deadline(t), owned, "missing"))
	require.Eventually(t, func() bool { return publishRaw(deadline(t), c, "missing") == nil }, patience, 100*time.Millisecond)
}

// TestJetStreamAddsNone where the options say that the stream is as it is to be.
func TestJetStreamAddsNone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts   []jetstream.Option
		remedy string
	}{
		"BindOnly":      {[]jetstream.Option{jetstream.BindOnly()}, `the owner of stream`},
		"FixedSubjects": {[]jetstream.Option{jetstream.FixedSubjects()}, `with option FixedSubjects the client adds none: the owner of stream`},
		"OnlySubjects":  {[]jetstream.Option{jetstream.OnlySubjects("ours", "dead.*.ours")}, "AddSubjects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownStream(t)
			s.create(t, js.StreamConfig{Subjects: []string{"ours", "dead.*.ours"}})
			c := s.join(t, tc.opts, client.Subjects("asked.for"))
			require.NoError(t, publishRaw(deadline(t), c, "ours"))
			err := publishRaw(deadline(t), c, "missing")
			require.ErrorIs(t, err, publisher.ErrNotStored)
			require.ErrorContains(t, err, tc.remedy)
			require.ErrorContains(t, err, "missing")
			err = listenRaw(t, c, "missing", ignore, listener.NoDeadLetters())
			require.ErrorIs(t, err, client.ErrInvalid)
			require.ErrorContains(t, err, tc.remedy)
			require.Equal(t, []string{"ours", "dead.*.ours"}, s.subjects(t))
			if name == "FixedSubjects" {
				require.NoError(t, listenRaw(t, c, "ours", ignore), "consumers are made all the same")
			}
		})
	}
}

// TestJetStreamSubjectIsTakenOut while clients run, or undone by a client that read the list
// long ago: those that use it add it again, and publishes don't fail.
func TestJetStreamSubjectIsTakenOut(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	has := func(s *jetStream) func() bool {
		return func() bool { return slices.Contains(s.subjects(t), subject) }
	}
	t.Run("and published to", func(t *testing.T) {
		t.Parallel()
		s := ownStream(t)
		s.join(t, inMemory, client.Subjects(subjects.Subject(subject)))
		c := s.join(t, inMemory) // which finds the subject there
		publish[tag](t, c, 1)
		for n := 2; n < 5; n++ {
			s.set(t, "dead.>")
			publishFrom[tag](t, c, n, n)
		}
		require.Equal(t, uint64(4), s.info(t).State.Msgs)
	})
	t.Run("soon after it was added", func(t *testing.T) {
		t.Parallel()
		s := ownStream(t)
		listen(t, s.join(t, inMemory), "group", into[tag](newInbox()))
		for range 3 {
			require.Eventually(t, has(s), patience, 20*time.Millisecond)
			s.set(t, "dead.>")
		}
		require.Eventually(t, has(s), patience, 20*time.Millisecond, "nobody has published")
	})
	t.Run("with its stream", func(t *testing.T) {
		t.Parallel()
		s := ownStream(t)
		c := s.join(t, inMemory)
		in := newInbox()
		listen(t, c, "group", into[tag](in))
		publish[tag](t, c, 1)
		require.Equal(t, 1, in.next(t).n)
		require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
		publishFrom[tag](t, c, 2, 2)
		require.Equal(t, 2, in.next(t).n)
		require.True(t, has(s)())
	})
}

// TestJetStreamSubjectThatSomebodyReads without JetStream: the server does not say then that
// nobody stores what is published.
func TestJetStreamSubjectThatSomebodyReads(t *testing.T) {
	t.Parallel()
	s := ownStream(t)
	_, err := s.nc.Subscribe(">", func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, s.nc.Flush())
	c := s.join(t, inMemory)
	require.NoError(t, publishRaw(deadline(t), c, "overheard"))
	require.Equal(t, uint64(1), s.info(t).State.Msgs)

	other := s.join(t, inMemory) // which has added nothing
	require.NoError(t, publishRaw(deadline(t), other, "overheard"))
	closeClient(t, c)
	s.set(t, "dead.>")
	require.NoError(t, publishRaw(deadline(t), other, "overheard"), "though nobody says that no stream takes it")
	require.Equal(t, uint64(3), s.info(t).State.Msgs)
}

// TestJetStreamDeadLettersOfItsOwn: a stream that has dead letters of its own instead of
// dead.> gets those of a new listener, and Redrive works on them.
func TestJetStreamDeadLettersOfItsOwn(t *testing.T) {
	t.Parallel()
	s := ownStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{"ours", "dead.*.ours"}})
	c := s.join(t, inMemory)
	require.NoError(t, listenRaw(t, c, "new", func() error { return listener.Reject(errors.New("it can't be handled")) }))
	require.Equal(t, []string{"ours", "dead.*.ours", "dead.group.new", "new"}, s.subjects(t))
	require.NoError(t, publishRaw(deadline(t), c, "new"))
	require.Eventually(t, func() bool { return s.info(t).State.Msgs == 2 }, patience, 20*time.Millisecond)
	result, err := deadletter.Redrive(deadline(t), c, "group", "new")
	require.NoError(t, err)
	require.Equal(t, 1, result.Redriven)
}

// TestJetStreamUpdateLock: clients wait for one that died while it held the lock, and one that
// may not have the lock adds its subjects without.
func TestJetStreamUpdateLock(t *testing.T) {
	t.Parallel()
	const lock = "updating-subjects"
	s := &jetStream{name: "shared", url: startServer(t, devserver.Users(
		devserver.User{Name: "lockless", Password: "secret", Publish: devserver.Permission{Deny: []string{"$JS.API.CONSUMER.*.shared." + lock}}},
		devserver.User{Name: "owner", Password: "secret"},
	)).server.URL()}
	lockless := s.join(t, inMemory, client.NATS(nats.UserInfo("lockless", "secret")))
	c := s.join(t, inMemory, client.NATS(nats.UserInfo("owner", "secret")))
	nc, err := nats.Connect(s.url, nats.UserInfo("owner", "secret"))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s.raw, err = js.New(nc)
	require.NoError(t, err)

	_, err = s.raw.CreateConsumer(deadline(t), s.name, js.ConsumerConfig{
		Name: lock, AckPolicy: js.AckNonePolicy, DeliverPolicy: js.DeliverNewPolicy, InactiveThreshold: time.Second, MemoryStorage: true,
	})
	require.NoError(t, err)
	added := make(chan error, 1)
	go func() { added <- publishRaw(deadline(t), c, "waits") }()
	require.NoError(t, publishRaw(deadline(t), lockless, "lockless"))
	require.NoError(t, <-added)
	require.ElementsMatch(t, []string{"dead.>", "lockless", "waits"}, s.subjects(t))
	_, err = s.raw.Consumer(deadline(t), s.name, lock)
	require.ErrorIs(t, err, js.ErrConsumerNotFound, "the client that had the lock has given it back")
}

// TestJetStreamManyAddSubjects: thirty clients that start together, each with a subject of its
// own, don't undo each other's. The list is complete when the last one is ready, whether they
// ask for their subjects or just use them.
func TestJetStreamManyAddSubjects(t *testing.T) {
	t.Parallel()
	single := func(t *testing.T) string { t.Helper(); return startServer(t).server.URL() }
	t.Run("Subjects", func(t *testing.T) { t.Parallel(); manyAddSubjects(t, single(t), 5, true) })
	t.Run("Publish", func(t *testing.T) { t.Parallel(); manyAddSubjects(t, single(t), 5, false) })
	t.Run("in a cluster", func(t *testing.T) {
		t.Parallel()
		cluster, err := devserver.StartJetStreamCluster()
		require.NoError(t, err)
		t.Cleanup(cluster.Shutdown)
		manyAddSubjects(t, cluster.URL(), 1, false, jetstream.Replicas(3))
	})
}

func manyAddSubjects(t *testing.T, url string, rounds int, ask bool, more ...jetstream.Option) {
	t.Helper()
	const clients = 30
	for round := range rounds {
		s := streamOn(t, url)
		want := []string{"dead.>"}
		var starting sync.WaitGroup
		built, errs := make([]*client.Client, clients), make([]error, clients)
		for i := range clients {
			subject := subjects.Subject(fmt.Sprintf("round%d.subject%d", round, i))
			want = append(want, string(subject))
			var opts []client.Option
			if ask {
				opts = append(opts, client.Subjects(subject))
			}
			starting.Go(func() {
				built[i], errs[i] = s.build(t, fmt.Sprintf("client-%d", i), append(more, inMemory...), opts...)
				if errs[i] == nil && !ask {
					errs[i] = publishRaw(deadline(t), built[i], subject)
				}
			})
		}
		starting.Wait()
		for i, err := range errs {
			require.NoError(t, err, "client %d of round %d", i, round)
		}
		require.ElementsMatch(t, want, s.subjects(t))
		before := s.info(t).State.Msgs
		for _, subject := range want[1:] { // without a message ID, as a service in another language may
			_, err := s.nc.RequestWithContext(deadline(t), subject, []byte("{}"))
			require.NoError(t, err)
		}
		require.Equal(t, before+clients, s.info(t).State.Msgs, "the server stores each message once")
		for _, c := range built {
			closeClient(t, c)
		}
		require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
	}
}
