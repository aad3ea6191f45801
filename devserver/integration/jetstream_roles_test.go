package integration_test

import (
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// bind connects to the stream as a client that makes nothing.
func (s *jetStream) bind(t *testing.T, clientID string) *client.Client {
	t.Helper()
	c, err := s.build(t, clientID, []jetstream.Option{jetstream.BindOnly()})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// TestJetStreamListenWithoutPublishing: on streams to which nobody can publish, with BindOnly.
func TestJetStreamListenWithoutPublishing(t *testing.T) {
	t.Parallel()
	type mirror struct{}
	type sourced struct{}
	type filtered struct{}
	type sealed struct{}
	t.Run("mirror", func(t *testing.T) {
		t.Parallel()
		listenWithoutPublishing[mirror](t, func(c *js.StreamConfig, origin *js.StreamSource) { c.Mirror = origin }, "it is a mirror")
	})
	t.Run("sources", func(t *testing.T) {
		t.Parallel()
		listenWithoutPublishing[sourced](t, func(c *js.StreamConfig, origin *js.StreamSource) { c.Sources = []*js.StreamSource{origin} }, "lacks subject")
	})
	t.Run("one subject of a source", func(t *testing.T) {
		t.Parallel()
		listenWithoutPublishing[filtered](t, func(c *js.StreamConfig, origin *js.StreamSource) {
			origin.FilterSubject = string(note[filtered]{}.Subject())
			c.Sources = []*js.StreamSource{origin}
		}, "lacks subject")
	})
	t.Run("sealed", func(t *testing.T) {
		t.Parallel()
		listenWithoutPublishing[sealed](t, nil, "it is sealed")
	})
}

func listenWithoutPublishing[Tag any](t *testing.T, from func(c *js.StreamConfig, origin *js.StreamSource), why string) {
	t.Helper()
	subject := string(fresh[Tag](t))
	origin, s := newStream(t), newStream(t)
	origin.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}})
	if from == nil {
		s = origin
	}
	publish[Tag](t, origin.bind(t, "publisher"), 2)
	if from == nil {
		s.update(t, func(c *js.StreamConfig) { c.Sealed = true })
	} else {
		config := js.StreamConfig{}
		from(&config, &js.StreamSource{Name: origin.name})
		s.create(t, config)
	}

	c, name, in := s.bind(t, "bound"), group(), newInbox()
	s.makeConsumer(t, subject, name, func(*js.ConsumerConfig) {})
	careless, err := listener.New(c, name, into[Tag](in))
	require.NoError(t, err)
	require.ErrorContains(t, careless.Listen(deadline(t)), why, "it can store no dead letters")
	require.NoError(t, listen(t, c, name, into[Tag](in), listener.NoDeadLetters()).end(t))
	listen(t, c, name, into[Tag](in), listener.NoDeadLetters())
	require.ElementsMatch(t, count(2), in.take(t, 2))

	p, err := publisher.New[note[Tag]](c)
	require.NoError(t, err)
	require.ErrorIs(t, p.Publish(deadline(t), note[Tag]{N: 3}), publisher.ErrNotStored)
	require.EqualValues(t, 2, origin.info(t).State.Msgs, "nothing is stored elsewhere")

	_, err = s.build(t, "free", []jetstream.Option{jetstream.OnlySubjects(subject)})
	require.ErrorIs(t, err, client.ErrInvalid, "what makes streams would make another one in its place")
}

// TestJetStreamSubjectNotInTheSource: what can never come is refused.
func TestJetStreamSubjectNotInTheSource(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	origin, s := newStream(t), newStream(t)
	origin.create(t, js.StreamConfig{Subjects: []string{string(subject), "other-" + origin.name}})
	s.create(t, js.StreamConfig{Mirror: &js.StreamSource{Name: origin.name, FilterSubject: "other-" + origin.name}})
	err := listenRaw(t, s.bind(t, "bound"), subject, ignore, listener.NoDeadLetters())
	require.ErrorIs(t, err, client.ErrInvalid)
}

// TestJetStreamPublishWithoutListening: a client may publish to a stream that others work off,
// and a listener is told why it may not listen there.
func TestJetStreamPublishWithoutListening(t *testing.T) {
	t.Parallel()
	type workQueue struct{}
	type interest struct{}
	type bound struct{}
	t.Run("work queue", func(t *testing.T) {
		t.Parallel()
		publishWithoutListening[workQueue](t, js.WorkQueuePolicy)
	})
	t.Run("interest", func(t *testing.T) {
		t.Parallel()
		publishWithoutListening[interest](t, js.InterestPolicy)
	})
	t.Run("work queue, BindOnly", func(t *testing.T) {
		t.Parallel()
		publishWithoutListening[bound](t, js.WorkQueuePolicy, jetstream.BindOnly())
	})
}

func publishWithoutListening[Tag any](t *testing.T, retention js.RetentionPolicy, opts ...jetstream.Option) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject}, Retention: retention})
	s.makeConsumer(t, subject, "others", func(*js.ConsumerConfig) {})
	c, err := s.build(t, "publisher", append(opts, jetstream.OnlySubjects(subject)))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	publish[Tag](t, c, 3)
	require.EqualValues(t, 3, s.info(t).State.Msgs)
	err = listenRaw(t, c, subjects.Subject(subject), ignore, listener.NoDeadLetters())
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "retention "+retention.String())
}
