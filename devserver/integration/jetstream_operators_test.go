package integration_test

import (
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport/jetstream"
)

// makeConsumer makes a consumer of a queue group as operators would.
func (s *jetStream) makeConsumer(t *testing.T, subject, group string, change func(*js.ConsumerConfig)) {
	t.Helper()
	config := js.ConsumerConfig{
		Durable: jetstream.ConsumerName(subject, group, group), FilterSubject: subject, AckPolicy: js.AckExplicitPolicy,
		AckWait: 5 * time.Second, MaxAckPending: -1, MaxDeliver: -1,
	}
	change(&config)
	_, err := s.raw.CreateConsumer(deadline(t), s.name, config)
	require.NoError(t, err)
}

// TestJetStreamFilterSubjectsOfOne: filter_subjects with one entry is filter_subject.
func TestJetStreamFilterSubjectsOfOne(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := string(fresh[tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}})
	name := group()
	s.makeConsumer(t, subject, name, func(c *js.ConsumerConfig) { c.FilterSubject, c.FilterSubjects = "", []string{subject} })
	c, err := s.build(t, "bound", []jetstream.Option{jetstream.BindOnly(), jetstream.OnlySubjects(subject)})
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	in := newInbox()
	listen(t, c, name, into[tag](in))
	publish[tag](t, c, 3)
	require.Equal(t, count(3), in.take(t, 3))
}

// TestJetStreamConsumerAtAPlace: operators restore the place of a group by a consumer that is
// made again at a start sequence. A listener takes it, also while it listens.
func TestJetStreamConsumerAtAPlace(t *testing.T) {
	t.Parallel()
	type boundLive struct{}
	type bound struct{}
	type free struct{}
	t.Run("BindOnly, live", func(t *testing.T) { t.Parallel(); consumerAtAPlace[boundLive](t, true, jetstream.BindOnly()) })
	t.Run("BindOnly, at restart", func(t *testing.T) { t.Parallel(); consumerAtAPlace[bound](t, false, jetstream.BindOnly()) })
	// Live, the library has made the consumer again itself by then.
	t.Run("at restart", func(t *testing.T) { t.Parallel(); consumerAtAPlace[free](t, false) })
}

func consumerAtAPlace[Tag any](t *testing.T, live bool, opts ...jetstream.Option) {
	t.Helper()
	subject := string(fresh[Tag](t))
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}})
	name := group()
	s.makeConsumer(t, subject, name, func(*js.ConsumerConfig) {})
	c, err := s.build(t, "orders", append(opts, jetstream.OnlySubjects(subject)))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	in := newInbox()
	first := listen(t, c, name, into[Tag](in))
	publish[Tag](t, c, 3)
	require.Equal(t, count(3), in.take(t, 3))
	if !live {
		require.NoError(t, first.end(t))
	}
	require.NoError(t, s.raw.DeleteConsumer(deadline(t), s.name, jetstream.ConsumerName(subject, name, name)))
	s.makeConsumer(t, subject, name, func(c *js.ConsumerConfig) { c.DeliverPolicy, c.OptStartSeq = js.DeliverByStartSequencePolicy, 4 })
	publishFrom[Tag](t, c, 4, 6)
	if !live {
		listen(t, c, name, into[Tag](in))
	}
	require.Equal(t, countFrom(4, 6), in.take(t, 3))
}
