package integration_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/jetstream"
)

// limited is a stream with a consumer that delivers each event a limited number of times.
type limited struct {
	*jetStream
	group    string
	client   *client.Client
	told     watched
	log      *lockedBuffer
	consumer func() *js.ConsumerInfo
}

func limitedTo[Tag any](t *testing.T, deliveries int, opts ...jetstream.Option) limited {
	t.Helper()
	subject := string(fresh[Tag](t))
	l := limited{jetStream: newStream(t), group: group(), log: &lockedBuffer{}}
	l.create(t, js.StreamConfig{Subjects: []string{subject, "dead.*." + subject}})
	l.makeConsumer(t, subject, l.group, func(c *js.ConsumerConfig) { c.MaxDeliver, c.AckWait = deliveries, time.Second })
	l.consumer = func() *js.ConsumerInfo {
		c, err := l.raw.Consumer(deadline(t), l.name, jetstream.ConsumerName(subject, l.group, l.group))
		require.NoError(t, err)
		return c.CachedInfo()
	}
	var err error
	l.client, err = l.build(t, "limited", append(opts, jetstream.OnlySubjects(subject, "dead.*."+subject)), client.Logger(slog.New(slog.NewTextHandler(l.log, nil))))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, l.client) })
	l.told = watch(t, l.client)
	return l
}

// TestJetStreamMaxDeliverIsLifted where the client may change the consumer.
func TestJetStreamMaxDeliverIsLifted(t *testing.T) {
	t.Parallel()
	type tag struct{}
	l := limitedTo[tag](t, 2)
	in := newInbox()
	listen(t, l.client, l.group, func(_ context.Context, e note[tag], d listener.Delivery) error {
		in.put(e.N, d)
		if d.Attempt < 4 {
			return errors.New("not yet")
		}
		return nil
	}, listener.MaxAttempts(6), listener.Backoff(time.Millisecond, time.Millisecond))
	require.Equal(t, -1, l.consumer().Config.MaxDeliver)
	require.Contains(t, l.log.String(), "level=WARN msg=\"the consumer's max_deliver is set to -1")
	publish[tag](t, l.client, 1)
	require.Equal(t, []int{1, 1, 1, 1}, in.take(t, 4))
}

// TestJetStreamMaxDeliver: under BindOnly an event that fails on its last delivery becomes a dead
// letter.
func TestJetStreamMaxDeliver(t *testing.T) {
	t.Parallel()
	type tag struct{}
	l := limitedTo[tag](t, 3, jetstream.BindOnly())
	in := newInbox()
	listen(t, l.client, l.group, func(_ context.Context, e note[tag], d listener.Delivery) error {
		in.put(e.N, d)
		return errors.New("never")
	}, listener.MaxAttempts(6), listener.Backoff(time.Millisecond, time.Millisecond))
	require.Contains(t, l.log.String(), "level=WARN msg=\"the consumer's max_deliver limits")
	publish[tag](t, l.client, 2)
	in.take(t, 6)
	for range 2 {
		e, before := l.told.until(t, client.EventDeadLettered)
		require.Equal(t, "exhausted", e.Reason)
		require.ErrorContains(t, e.Err, "never (it was the last delivery that the consumer's max_deliver allows)")
		require.Empty(t, before)
	}
	require.Eventually(t, func() bool { return l.consumer().NumAckPending == 0 }, patience, 10*time.Millisecond)
}

// TestJetStreamMaxDeliverWaits: what can't be handled yet waits with the listener that has it, and
// what a listener leaves behind becomes a dead letter.
func TestJetStreamMaxDeliverWaits(t *testing.T) {
	t.Parallel()
	type tag struct{}
	l := limitedTo[tag](t, 1, jetstream.BindOnly())
	in := newInbox()
	first := listen(t, l.client, l.group, func(_ context.Context, e note[tag], d listener.Delivery) error {
		in.put(e.N, d)
		switch {
		case e.N == 2:
			return listener.Defer(time.Hour)
		case len(in.arrived) < 2:
			return listener.Defer(1500 * time.Millisecond)
		default:
			return nil
		}
	})
	publish[tag](t, l.client, 1)
	require.Eventually(t, func() bool { return len(in.arrived) == 2 && l.consumer().NumAckPending == 0 }, patience, 10*time.Millisecond)
	publishFrom[tag](t, l.client, 2, 2)
	require.Equal(t, []int{1, 1, 2}, in.take(t, 3))
	require.NoError(t, first.end(t))
	e, _ := l.told.until(t, client.EventDeadLettered)
	require.Equal(t, uint64(2), e.Sequence)
	require.ErrorContains(t, e.Err, "the listener ended before the event was handled")
}

// TestJetStreamMaxDeliverPullsWhatCanBegin: an event that waits in a process uses a delivery up if
// that ends.
func TestJetStreamMaxDeliverPullsWhatCanBegin(t *testing.T) {
	t.Parallel()
	type tag struct{}
	l := limitedTo[tag](t, 3, jetstream.BindOnly())
	in, more := newInbox(), make(chan struct{})
	defer close(more)
	listen(t, l.client, l.group, func(_ context.Context, e note[tag], d listener.Delivery) error {
		in.put(e.N, d)
		if e.N > 5 {
			<-more
		}
		return nil
	}, listener.Concurrency(2))
	publish[tag](t, l.client, 20)
	in.take(t, 7)
	require.Eventually(t, func() bool { return l.consumer().NumAckPending == 2 }, patience, 10*time.Millisecond)
	require.Equal(t, uint64(13), l.consumer().NumPending)
}

// TestJetStreamMaxDeliverIsTold: what the server gives up is told while a listener is connected.
func TestJetStreamMaxDeliverIsTold(t *testing.T) {
	t.Parallel()
	type tag struct{}
	l := limitedTo[tag](t, 1, jetstream.BindOnly())
	publish[tag](t, l.client, 2)
	other, err := l.raw.Consumer(deadline(t), l.name, l.consumer().Name)
	require.NoError(t, err)
	_, err = other.Next() // as another process that ends does
	require.NoError(t, err)
	in := newInbox()
	listen(t, l.client, l.group, into[tag](in))
	require.Equal(t, 2, in.next(t).n)
	e, _ := l.told.until(t, client.EventMessagesGivenUp)
	require.Equal(t, client.Removed{Subject: string(note[tag]{}.Subject()), Group: l.group, Durable: l.group, First: 1, Last: 1, Count: 1}, e.Removed)
	require.ErrorContains(t, e.Err, fmt.Sprintf("still in stream %s", l.name))
	require.Eventually(t, func() bool { // it is logged after it was told
		return strings.Contains(l.log.String(), "level=ERROR msg=\"the server has given an event up")
	}, patience, time.Millisecond)
}
