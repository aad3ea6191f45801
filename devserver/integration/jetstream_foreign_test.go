package integration_test

import (
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/jetstream"
)

// answerAll subscribes to the subject, as any service may, and answers each message.
func answerAll(t *testing.T, nc *nats.Conn, subject, answer string) *atomic.Int64 {
	t.Helper()
	answered := new(atomic.Int64)
	sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
		answered.Add(1)
		_ = m.Respond([]byte(answer))
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return answered
}

// foreignAnswers is the tag of tests that publish raw messages.
type foreignAnswers struct{}

// TestForeignAnswersDecideNothing: what a subscriber answers to a publish is not what the
// stream says of it.
func TestForeignAnswersDecideNothing(t *testing.T) {
	t.Parallel()
	const room, published = 20, 50
	for name, answer := range map[string]string{
		"an empty object":                   `{}`,
		"a confirmation without a sequence": `{"stream":"STREAM"}`,
		"a confirmation of another stream":  `{"stream":"other","seq":7}`,
		"a confirmation of another domain":  `{"stream":"STREAM","domain":"leaf","seq":7}`,
		"a refusal without a stream":        `{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}`,
		"a refusal of another stream":       `{"error":{"code":400,"err_code":10060,"description":"expected stream does not match"},"stream":"other","seq":0}`,
		"words":                             `ok`,
		"nothing":                           ``,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t)
			subject := fresh[foreignAnswers](t)
			s.create(t, js.StreamConfig{Subjects: []string{string(subject)}, MaxMsgs: room, Discard: js.DiscardNew})
			answered := answerAll(t, s.nc, string(subject), strings.ReplaceAll(answer, "STREAM", s.name))
			var logged lockedBuffer
			c, err := s.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(string(subject))},
				client.Logger(slog.New(slog.NewTextHandler(&logged, nil))))
			require.NoError(t, err)
			t.Cleanup(func() { closeClient(t, c) })
			p, err := publisher.NewRaw(c)
			require.NoError(t, err)
			for i := range published {
				err := p.Publish(deadline(t), publisher.Message{Subject: subject, Data: []byte(strconv.Itoa(i))})
				if i < room {
					require.NoError(t, err, i)
				} else {
					require.ErrorIs(t, err, publisher.ErrNotStored, i)
					require.ErrorContains(t, err, "is full")
				}
			}
			require.EqualValues(t, room, s.info(t).State.Msgs)
			require.NotZero(t, answered.Load())
			told := func(of string) int { return strings.Count(logged.String(), of+" are answered by others than stream") }
			require.Eventually(t, func() bool { return told("") > 0 }, patience, time.Millisecond)
			require.LessOrEqual(t, told(string(subject)+`\\\"`), 1, "it is told once for a subject:\n%s", logged.String())
			require.LessOrEqual(t, told("of this client"), 1, "and once for publishes that were decided before:\n%s", logged.String())
		})
	}
}

// TestForeignAnswerAlone: without the stream's own answer the outcome is unknown, and the error
// says that someone else has answered.
func TestForeignAnswerAlone(t *testing.T) {
	t.Parallel()
	hub, leaf := twoDomains(t)
	subject := fresh[foreignAnswers](t)
	onHub, onLeaf := streamOn(t, hub.ClientURL()), streamOn(t, leaf.ClientURL())
	onLeaf.name = onHub.name // a stream of the same name in each domain
	onHub.create(t, js.StreamConfig{Subjects: []string{string(subject)}})
	onLeaf.create(t, js.StreamConfig{Subjects: []string{string(subject)}})
	c, err := onLeaf.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(string(subject)), jetstream.Domain("hub")})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	p, err := publisher.NewRaw(c, publisher.Timeout(time.Second))
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, p.Publish(deadline(t), publisher.Message{Subject: subject}))
	}
	require.EqualValues(t, 20, onHub.info(t).State.Msgs, "the client's stream is the hub's")
	require.EqualValues(t, 20, onLeaf.info(t).State.Msgs, "the leaf's stores it, too")

	hub.Shutdown()
	hub.WaitForShutdown()
	err = p.Publish(t.Context(), publisher.Message{Subject: subject}) // for as long as the Timeout
	require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
	require.ErrorContains(t, err, `of domain "leaf"`)
}

// TestForeignRefusal: a stream of another domain that refuses what is not meant for it decides
// nothing.
func TestForeignRefusal(t *testing.T) {
	t.Parallel()
	hub, leaf := twoDomains(t)
	subject := fresh[foreignAnswers](t)
	onHub, onLeaf := streamOn(t, hub.ClientURL()), streamOn(t, leaf.ClientURL())
	onHub.create(t, js.StreamConfig{Subjects: []string{string(subject)}})
	onLeaf.create(t, js.StreamConfig{Subjects: []string{string(subject)}})
	c, err := client.Build(deadline(t), onHub.name, "orders", leaf.ClientURL(), quiet(),
		client.JetStream(jetstream.OnlySubjects(string(subject)), jetstream.Domain("hub")))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	p, err := publisher.NewRaw(c)
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, p.Publish(deadline(t), publisher.Message{Subject: subject}))
	}
	require.EqualValues(t, 20, onHub.info(t).State.Msgs)
	require.Zero(t, onLeaf.info(t).State.Msgs)
}

// TestSubjectMovedToAnotherStream: the stream that has the subject now refuses what is meant
// for the client's, which does not take it any more; that decides.
func TestSubjectMovedToAnotherStream(t *testing.T) {
	t.Parallel()
	first, second := newStream(t), newStream(t)
	subject := fresh[foreignAnswers](t)
	first.create(t, js.StreamConfig{Subjects: []string{string(subject)}})
	c, err := first.build(t, "orders", []jetstream.Option{jetstream.OnlySubjects(string(subject))})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	p, err := publisher.NewRaw(c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), publisher.Message{Subject: subject}))
	_, err = first.raw.UpdateStream(deadline(t), js.StreamConfig{Name: first.name, Storage: js.MemoryStorage, Subjects: []string{string(subject) + ".old"}})
	require.NoError(t, err)
	second.create(t, js.StreamConfig{Subjects: []string{string(subject)}})
	err = p.Publish(deadline(t), publisher.Message{Subject: subject})
	require.ErrorIs(t, err, publisher.ErrNotStored)
	require.ErrorContains(t, err, `take it out of stream "`+second.name+`"`)
}

// TestForeignAnswersHideNoLostStream: the server does not say that nobody takes a publish
// while someone answers it. The client looks for itself, and makes the stream again.
func TestForeignAnswersHideNoLostStream(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	subject := fresh[foreignAnswers](t)
	answerAll(t, s.nc, string(subject), `{}`)
	c := s.connect(t, string(subject))
	require.NoError(t, s.raw.DeleteStream(deadline(t), s.name))
	p, err := publisher.NewRaw(c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(deadline(t), publisher.Message{Subject: subject}))
	require.EqualValues(t, 1, s.info(t).State.Msgs)
}

// TestForeignPullAnswers: what others send in answer to a request for messages is no event.
func TestForeignPullAnswers(t *testing.T) {
	t.Parallel()
	type tag struct{}
	s := newStream(t)
	c := s.connect(t, string(fresh[tag](t)))
	sub, err := s.nc.Subscribe("$JS.API.CONSUMER.MSG.NEXT."+s.name+".>", func(m *nats.Msg) {
		// The server lets nobody but a consumer send what has the reply subject of a delivery.
		_ = m.Respond([]byte(`{"n":666}`))
	})
	require.NoError(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	require.NoError(t, s.nc.Flush())
	in := newInbox()
	listen(t, c, group(), into[tag](in))
	publish[tag](t, c, 10)
	for want := 1; want <= 10; want++ {
		require.Equal(t, want, in.next(t).n)
	}
}

// twoDomains starts a hub and a leaf of it, each with JetStream in a domain of its own.
func twoDomains(t *testing.T) (hub, leaf *natsserver.Server) {
	t.Helper()
	start := func(domain string, more func(*natsserver.Options)) *natsserver.Server {
		o := &natsserver.Options{
			Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, ServerName: domain,
			JetStream: true, JetStreamDomain: domain, StoreDir: t.TempDir(),
		}
		more(o)
		s, err := natsserver.NewServer(o)
		require.NoError(t, err)
		s.Start()
		require.True(t, s.ReadyForConnections(patience))
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		return s
	}
	port := freePort(t)
	leafAddress := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	hub = start("hub", func(o *natsserver.Options) { o.LeafNode = natsserver.LeafNodeOpts{Host: "127.0.0.1", Port: port} })
	leaf = start("leaf", func(o *natsserver.Options) {
		o.LeafNode = natsserver.LeafNodeOpts{
			ReconnectInterval: 100 * time.Millisecond,
			Remotes:           []*natsserver.RemoteLeafOpts{{URLs: []*url.URL{{Scheme: "nats", Host: leafAddress}}}},
		}
	})
	require.Eventually(t, func() bool { return leaf.NumLeafNodes() == 1 && hub.NumLeafNodes() == 1 }, patience, 10*time.Millisecond)
	return hub, leaf
}
