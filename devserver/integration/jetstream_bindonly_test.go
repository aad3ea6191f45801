package integration_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/jetstream"
)

// TestJetStreamRedriveBound: with BindOnly Redrive needs one consumer, whose name does not
// change. So do dead letters without the event, which Redrive reads where it is stored.
func TestJetStreamRedriveBound(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{string(subject), "dead.*." + string(subject)}, AllowDirect: true})
	name := group()
	dead := events.DeadLetterSubject(name, subject)
	s.makeConsumer(t, string(subject), name, func(*js.ConsumerConfig) {})
	c := s.bind(t, "bound")
	fails, in := true, newInbox()
	listening := listen(t, c, name, func(_ context.Context, e note[tag], d listener.Delivery) error {
		if fails {
			return listener.Reject(errors.New("no"))
		}
		in.put(e.N, d)
		return nil
	})
	publish[tag](t, c, 2)
	large, err := publisher.New[note[tag]](c)
	require.NoError(t, err)
	require.NoError(t, large.Publish(deadline(t), note[tag]{N: 3, Text: strings.Repeat("x", 900_000)}))
	require.Eventually(t, func() bool { return s.info(t).State.Msgs == 6 }, patience, 10*time.Millisecond, "three events and their dead letters")
	require.NoError(t, listening.end(t))

	_, err = deadletter.Redrive(deadline(t), c, name, subject)
	consumer := jetstream.ConsumerName(string(dead), deadletter.Group, "")
	for _, text := range []string{"there is no consumer \"" + consumer + `"`, "who manages stream", `filter_subject "` + string(dead)} {
		require.ErrorContains(t, err, text)
	}
	s.makeConsumer(t, string(dead), deadletter.Group, func(c *js.ConsumerConfig) { c.AckWait = 2 * time.Second })
	result, err := deadletter.Redrive(deadline(t), c, name, subject)
	require.NoError(t, err)
	require.Equal(t, 3, result.Redriven)
	fails = false
	listen(t, c, name, func(_ context.Context, e note[tag], d listener.Delivery) error { in.put(e.N, d); return nil })
	require.ElementsMatch(t, count(3), in.take(t, 3))

	none, err := deadletter.Redrive(deadline(t), c, "nobody", subject)
	require.NoError(t, err)
	require.Zero(t, none)
}

// TestJetStreamListenersWithoutDurableBound: the name of their consumer does not change, so that
// operators can make it, and it is not deleted when the listener ends.
func TestJetStreamListenersWithoutDurableBound(t *testing.T) {
	t.Parallel()
	type alone struct{}
	type grouped struct{}
	t.Run("no group", func(t *testing.T) {
		t.Parallel()
		withoutDurableBound[alone](t, "")
	})
	t.Run("group", func(t *testing.T) {
		t.Parallel()
		withoutDurableBound[grouped](t, group(), listener.Ephemeral())
	})
}

func withoutDurableBound[Tag any](t *testing.T, name string, opts ...listener.Option) {
	t.Helper()
	subject := fresh[Tag](t)
	s := newStream(t)
	s.create(t, js.StreamConfig{Subjects: []string{string(subject)}})
	c := s.bind(t, "client-"+rand.Text()[:4])
	opts = append(opts, listener.NoDeadLetters())
	l, err := listener.New(c, name, into[Tag](newInbox()), opts...)
	require.NoError(t, err)
	first, second := l.Listen(deadline(t)), l.Listen(deadline(t))
	require.ErrorIs(t, first, transport.ErrRefused)
	require.EqualError(t, second, first.Error(), "the name does not change")
	_, rest, _ := strings.Cut(first.Error(), `there is no consumer "`)
	consumer, _, _ := strings.Cut(rest, `"`)
	_, err = s.raw.CreateConsumer(deadline(t), s.name, js.ConsumerConfig{
		Name: consumer, FilterSubject: string(subject), AckPolicy: js.AckExplicitPolicy, AckWait: 5 * time.Second, InactiveThreshold: time.Hour,
	})
	require.NoError(t, err)
	in := newInbox()
	listening := listen(t, c, name, into[Tag](in), opts...)
	publish[Tag](t, c, 2)
	require.Equal(t, count(2), in.take(t, 2))
	if name == "" {
		other, err := listener.New(c, name, into[Tag](in), opts...)
		require.NoError(t, err)
		require.ErrorContains(t, other.Listen(deadline(t)), consumer, "two would share the events")
	}
	require.NoError(t, listening.end(t))
	_, err = s.raw.Consumer(deadline(t), s.name, consumer)
	require.NoError(t, err, "operators delete what operators have made")
}
