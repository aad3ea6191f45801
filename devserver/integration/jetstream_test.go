package integration_test

import (
	"context"
	"crypto/rand"
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

// jetStream is a stream of a test's own on a server, seen by the library and by
// the raw client.
type jetStream struct {
	url, name string
	nc        *nats.Conn
	raw       js.JetStream
}

// newStream returns a stream that nobody has made yet, on the shared server.
func newStream(t *testing.T) *jetStream {
	t.Helper()
	return streamOn(t, jetServer.url)
}

func streamOn(t *testing.T, url string) *jetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	raw, err := js.New(nc)
	require.NoError(t, err)
	s := &jetStream{url: url, name: "stream-" + rand.Text()[:8], nc: nc, raw: raw}
	t.Cleanup(func() {
		if nc.IsConnected() {
			_ = raw.DeleteStream(context.Background(), s.name)
		}
	})
	return s
}

// build connects to the stream; the subjects of the tests' events are its own.
func (s *jetStream) build(t *testing.T, clientID string, opts []jetstream.Option, more ...client.Option) (*client.Client, error) {
	t.Helper()
	return client.Build(deadline(t), s.name, clientID, s.url, append([]client.Option{quiet(), client.JetStream(opts...)}, more...)...)
}

// connect connects to the stream, which it makes with that subject alone: streams
// of an account can't share subjects.
func (s *jetStream) connect(t *testing.T, subject string, more ...client.Option) *client.Client {
	t.Helper()
	c, err := s.build(t, "test-"+rand.Text(), []jetstream.Option{jetstream.OnlySubjects(subject, "dead.*."+subject), jetstream.MemoryStorage()}, more...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// create makes the stream with the raw client.
func (s *jetStream) create(t *testing.T, config js.StreamConfig) js.Stream {
	t.Helper()
	config.Name, config.Storage = s.name, js.MemoryStorage
	stream, err := s.raw.CreateStream(deadline(t), config)
	require.NoError(t, err)
	return stream
}

func (s *jetStream) info(t *testing.T) *js.StreamInfo {
	t.Helper()
	stream, err := s.raw.Stream(deadline(t), s.name)
	require.NoError(t, err)
	info, err := stream.Info(deadline(t))
	require.NoError(t, err)
	return info
}

// TestJetStreamSlowHandler: with an ack wait of 5 s a handler of 12 s runs once,
// with one member and with two, and so do the events that wait behind it.
func TestJetStreamSlowHandler(t *testing.T) {
	t.Parallel()
	type one struct{}
	type two struct{}
	t.Run("one member", func(t *testing.T) { t.Parallel(); slowHandler[one](t, 1) })
	t.Run("two members", func(t *testing.T) { t.Parallel(); slowHandler[two](t, 2) })
}

func slowHandler[Tag any](t *testing.T, members int) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	var runs, redelivered atomic.Int32
	name := group()
	done := make(chan struct{}, 10)
	for range members {
		listen(t, s.connect(t, subject), name, func(_ context.Context, e note[Tag], d listener.Delivery) error {
			runs.Add(1)
			if d.Redelivered {
				redelivered.Add(1)
			}
			if e.N == 1 {
				time.Sleep(12 * time.Second)
			}
			done <- struct{}{}
			return nil
		})
	}
	publish[Tag](t, s.connect(t, subject), 6)
	for range 6 {
		select {
		case <-done:
		case <-time.After(patience):
			require.FailNow(t, "not all were handled")
		}
	}
	require.Eventually(t, func() bool {
		c, err := s.raw.Consumer(deadline(t), s.name, jetstream.ConsumerName(subject, name, ""))
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().NumPending == 0
	}, patience, 10*time.Millisecond, "all are acknowledged")
	require.Equal(t, int32(6), runs.Load())
	require.Zero(t, redelivered.Load())
}

// TestJetStreamInterop: the raw client reads what we store, headers included, and
// we read what it stores, without our headers.
func TestJetStreamInterop(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	c := s.connect(t, subject)

	p, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), note[tag]{N: 1, Text: "ours"}))
	stream, err := s.raw.Stream(deadline(t), s.name)
	require.NoError(t, err)
	m, err := stream.GetLastMsgForSubject(deadline(t), subject)
	require.NoError(t, err)
	require.Equal(t, `{"n":1,"text":"ours"}`, string(m.Data))
	require.Equal(t, []string{"1.0"}, m.Header["ce-specversion"])
	require.Equal(t, []string{subject}, m.Header["ce-type"])
	require.Equal(t, []string{"/" + s.name + "/" + c.ClientID()}, m.Header["ce-source"])
	require.Equal(t, []string{"application/json"}, m.Header["Content-Type"])
	require.Equal(t, m.Header["Nats-Msg-Id"], m.Header["ce-id"])

	_, err = s.raw.PublishMsg(deadline(t), &nats.Msg{Subject: subject, Data: []byte(`{"n":2}`)})
	require.NoError(t, err)
	_, err = s.raw.PublishMsg(deadline(t), &nats.Msg{Subject: subject, Data: []byte(`{"n":3}`), Header: nats.Header{"Trace": {"x"}}})
	require.NoError(t, err)
	in := newInbox()
	listen(t, c, group(), into[tag](in))
	require.Equal(t, "1.0", in.next(t).delivery.Header["ce-specversion"][0])
	second, third := in.next(t), in.next(t)
	require.Equal(t, 2, second.n)
	require.Empty(t, second.delivery.Header)
	require.Equal(t, []string{"x"}, third.delivery.Header["Trace"])
	require.Equal(t, []uint64{1, 2, 3}, []uint64{1, second.delivery.Sequence, third.delivery.Sequence})

	// A raw member of the group shares its consumer.
	name := group()
	listening := listen(t, c, name, into[tag](in))
	in.take(t, 3)
	require.NoError(t, listening.end(t))
	publishFrom[tag](t, c, 4, 4)
	consumer, err := s.raw.Consumer(deadline(t), s.name, jetstream.ConsumerName(subject, name, ""))
	require.NoError(t, err)
	next, err := consumer.Next(js.FetchContext(deadline(t)))
	require.NoError(t, err)
	require.JSONEq(t, `{"n":4}`, string(next.Data()))
}

// TestJetStreamConsumerDeleted: the listener makes it again, goes on, and says so.
func TestJetStreamConsumerDeleted(t *testing.T) {
	t.Parallel()
	type durable struct{}
	type ephemeral struct{}
	type alone struct{}
	t.Run("durable", func(t *testing.T) { t.Parallel(); consumerDeleted[durable](t, group()) })
	t.Run("ephemeral", func(t *testing.T) { t.Parallel(); consumerDeleted[ephemeral](t, group(), listener.Ephemeral()) })
	t.Run("alone", func(t *testing.T) { t.Parallel(); consumerDeleted[alone](t, "") })
}

func consumerDeleted[Tag any](t *testing.T, queue string, opts ...listener.Option) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	log := &lockedBuffer{}
	c := s.connect(t, subject, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	in := newInbox()
	listen(t, c, queue, into[Tag](in), opts...)
	publish[Tag](t, c, 100)
	require.Equal(t, count(100), in.take(t, 100))

	stream, err := s.raw.Stream(deadline(t), s.name)
	require.NoError(t, err)
	names := stream.ConsumerNames(deadline(t))
	for consumer := range names.Name() {
		require.NoError(t, stream.DeleteConsumer(deadline(t), consumer))
	}
	require.NoError(t, names.Err())
	publishFrom[Tag](t, c, 101, 110)
	require.Equal(t, countFrom(101, 110), in.take(t, 10), "what was handled is not run again")
	require.Contains(t, log.String(), "the consumer was deleted: it is made again and goes on where the group stood")
}

// TestJetStreamStreamMadeAnew by somebody else, who has published since: its
// sequences begin at 1 again, and what was handled of the old stream says nothing.
func TestJetStreamStreamMadeAnew(t *testing.T) {
	t.Parallel()
	type durable struct{}
	type alone struct{}
	t.Run("durable", func(t *testing.T) { t.Parallel(); streamMadeAnew[durable](t, group()) })
	t.Run("alone", func(t *testing.T) { t.Parallel(); streamMadeAnew[alone](t, "") })
}

func streamMadeAnew[Tag any](t *testing.T, queue string) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	publish[Tag](t, s.connect(t, subject), 3)
	var dial cutDialer
	c := s.connect(t, subject, client.NATS(nats.SetCustomDialer(&dial)))
	in := newInbox()
	if queue != "" { // whose next member learns at once how far it has come
		first := listen(t, c, queue, into[Tag](in))
		in.take(t, 3)
		require.NoError(t, first.end(t))
		listen(t, c, queue, into[Tag](in))
	} else {
		listen(t, c, queue, into[Tag](in))
		in.take(t, 3)
	}

	dial.cut()
	require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
	publishFrom[Tag](t, s.connect(t, subject), 11, 15)
	dial.off.Store(false)
	require.Equal(t, countFrom(11, 15), in.take(t, 5))
}

// TestJetStreamServerRestarts, with its store and with an empty one.
func TestJetStreamServerRestarts(t *testing.T) {
	t.Parallel()
	t.Run("with its store", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		subject := string(fresh[tag](t))
		server := startServer(t, devserver.StoreDir(t.TempDir())).server
		s := streamOn(t, server.URL())
		c, err := s.build(t, "orders", []jetstream.Option{jetstream.Subjects(subject)})
		require.NoError(t, err)
		t.Cleanup(func() { closeClient(t, c) })
		in := newInbox()
		listen(t, c, group(), into[tag](in))
		publish[tag](t, c, 50)
		in.take(t, 50)

		// What is published meanwhile waits, and is stored once.
		p, err := publisher.New[note[tag]](c)
		require.NoError(t, err)
		pending := make([]*publisher.Pending, 0, 200)
		restarted := make(chan error, 1)
		go func() { restarted <- server.Restart() }()
		for n := 51; n <= 250; n++ {
			one, err := p.PublishAsync(deadline(t), note[tag]{N: n})
			require.NoError(t, err)
			pending = append(pending, one)
			time.Sleep(time.Millisecond) // it spreads the load over the outage; nothing is waited for
		}
		require.NoError(t, <-restarted)
		for _, one := range pending {
			require.NoError(t, one.Wait(deadline(t)))
		}
		seen := in.take(t, 200)
		slices.Sort(seen)
		require.Equal(t, countFrom(51, 250), seen)
		require.Equal(t, uint64(250), s.info(t).State.Msgs, "each is stored once")
	})
	t.Run("with an empty store", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		subject := string(fresh[tag](t))
		server := startServer(t).server
		s := streamOn(t, server.URL())
		log := &lockedBuffer{}
		c, err := s.build(t, "orders", []jetstream.Option{jetstream.Subjects(subject)}, client.Logger(slog.New(slog.NewTextHandler(log, nil))))
		require.NoError(t, err)
		t.Cleanup(func() { closeClient(t, c) })
		in := newInbox()
		listen(t, c, group(), into[tag](in))
		publish[tag](t, c, 50)
		in.take(t, 50)
		require.NoError(t, server.RestartEmpty())
		require.Eventually(t, func() bool {
			_, err := s.raw.Stream(deadline(t), s.name)
			return err == nil
		}, patience, 10*time.Millisecond, "the stream is made again")
		publishFrom[tag](t, c, 51, 60)
		require.Equal(t, countFrom(51, 60), in.take(t, 10), "sequences that were handled before are others now")
		require.Contains(t, log.String(), "what it held is lost")
	})
}
