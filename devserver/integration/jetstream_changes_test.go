package integration_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/jetstream"
)

// operated is a stream with a consumer that operators change under a listener.
type operated struct {
	*jetStream
	subject string
	group   string
	client  *client.Client
	told    watched
	log     *lockedBuffer
}

func operatedOn[Tag any](t *testing.T, change func(*js.ConsumerConfig)) operated {
	t.Helper()
	o := operated{jetStream: newStream(t), subject: string(fresh[Tag](t)), group: group(), log: &lockedBuffer{}}
	o.create(t, js.StreamConfig{Subjects: []string{o.subject, "other." + o.subject, "dead.*." + o.subject}})
	o.makeConsumer(t, o.subject, o.group, change)
	var err error
	o.client, err = o.build(t, "operated", []jetstream.Option{jetstream.BindOnly(), jetstream.OnlySubjects(o.subject)},
		client.Logger(slog.New(slog.NewTextHandler(o.log, nil))))
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, o.client) })
	o.told = watch(t, o.client)
	return o
}

func (o operated) name() string { return jetstream.ConsumerName(o.subject, o.group, o.group) }

// change changes the consumer.
func (o operated) change(t *testing.T, change func(*js.ConsumerConfig)) {
	t.Helper()
	c, err := o.raw.Consumer(deadline(t), o.jetStream.name, o.name())
	require.NoError(t, err)
	config := c.CachedInfo().Config
	change(&config)
	_, err = o.raw.UpdateConsumer(deadline(t), o.jetStream.name, config)
	require.NoError(t, err)
}

// changeStream changes the stream.
func (o operated) changeStream(t *testing.T, change func(*js.StreamConfig)) {
	t.Helper()
	config := o.info(t).Config
	change(&config)
	_, err := o.raw.UpdateStream(deadline(t), config)
	require.NoError(t, err)
}

// TestJetStreamFilterChanged: nothing that is not of the subject reaches a handler.
func TestJetStreamFilterChanged(t *testing.T) {
	t.Parallel()
	type tag struct{}
	o := operatedOn[tag](t, func(*js.ConsumerConfig) {})
	in := newInbox()
	listen(t, o.client, o.group, into[tag](in))
	publish[tag](t, o.client, 1)
	require.Equal(t, 1, in.next(t).n)
	o.change(t, func(c *js.ConsumerConfig) { c.FilterSubject = "other." + o.subject })
	_, err := o.raw.Publish(deadline(t), "other."+o.subject, []byte(`{"n":7}`))
	require.NoError(t, err)
	e := o.told.degraded(t, "is for another subject")
	require.ErrorContains(t, e.Err, "filter_subject is \"other."+o.subject)
	o.change(t, func(c *js.ConsumerConfig) { c.FilterSubject = o.subject })
	o.told.recovered(t, "is for another subject")
	publishFrom[tag](t, o.client, 2, 2)
	require.Equal(t, 2, in.next(t).n, "and not the other subject's")
	require.Empty(t, in.arrived)
}

// TestJetStreamSubjectRemoved, and then transformed.
func TestJetStreamSubjectRemoved(t *testing.T) {
	t.Parallel()
	type tag struct{}
	o := operatedOn[tag](t, func(*js.ConsumerConfig) {})
	in := newInbox()
	listen(t, o.client, o.group, into[tag](in))
	publish[tag](t, o.client, 1)
	require.Equal(t, 1, in.next(t).n)
	subjects := o.info(t).Config.Subjects
	o.changeStream(t, func(c *js.StreamConfig) { c.Subjects = subjects[1:] })
	require.ErrorContains(t, o.told.degraded(t, "does not take them").Err, "add it to the stream again")
	o.changeStream(t, func(c *js.StreamConfig) {
		c.Subjects, c.SubjectTransform = subjects, &js.SubjectTransformConfig{Source: o.subject, Destination: "elsewhere." + o.subject}
	})
	require.ErrorContains(t, o.told.degraded(t, "under another subject").Err, "to \"elsewhere."+o.subject)
	o.changeStream(t, func(c *js.StreamConfig) { c.SubjectTransform = nil })
	o.told.recovered(t, "under another subject")
	require.Equal(t, client.Connected, o.client.Status().State)
}

// TestJetStreamPaused is told, until when.
func TestJetStreamPaused(t *testing.T) {
	t.Parallel()
	type tag struct{}
	o := operatedOn[tag](t, func(*js.ConsumerConfig) {})
	in := newInbox()
	listen(t, o.client, o.group, into[tag](in))
	until := time.Now().Add(time.Hour)
	_, err := o.raw.PauseConsumer(deadline(t), o.jetStream.name, o.name(), until)
	require.NoError(t, err)
	publish[tag](t, o.client, 1)
	require.ErrorContains(t, o.told.degraded(t, "is paused").Err, until.UTC().Format("2006-01-02T15:04"))
	_, err = o.raw.ResumeConsumer(deadline(t), o.jetStream.name, o.name())
	require.NoError(t, err)
	o.told.recovered(t, "is paused")
	require.Equal(t, 1, in.next(t).n)
}

// TestJetStreamAckWaitLowered: members go by the new one.
func TestJetStreamAckWaitLowered(t *testing.T) {
	t.Parallel()
	type tag struct{}
	o := operatedOn[tag](t, func(c *js.ConsumerConfig) { c.AckWait = 30 * time.Second })
	var runs atomic.Int32
	in := newInbox()
	listen(t, o.client, o.group, func(ctx context.Context, e note[tag], d listener.Delivery) error {
		runs.Add(1)
		select {
		case <-time.After(3 * time.Second):
		case <-ctx.Done():
		}
		in.put(e.N, d)
		return nil
	}, listener.AckWait(30*time.Second), listener.Concurrency(3))
	o.change(t, func(c *js.ConsumerConfig) { c.AckWait = time.Second })
	require.Eventually(t, func() bool { return strings.Contains(o.log.String(), "ack_wait=1s") }, patience, 50*time.Millisecond)
	publish[tag](t, o.client, 3)
	in.take(t, 3)
	require.Equal(t, int32(3), runs.Load())
}

// TestJetStreamMaxAckPendingFull of events that wait for a retry: a listener that could run more is
// degraded.
func TestJetStreamMaxAckPendingFull(t *testing.T) {
	t.Parallel()
	type tag struct{}
	o := operatedOn[tag](t, func(c *js.ConsumerConfig) { c.MaxAckPending = 2 })
	in := newInbox()
	listen(t, o.client, o.group, func(_ context.Context, e note[tag], d listener.Delivery) error {
		in.put(e.N, d)
		return listener.RetryAfter(time.Hour, errors.New("not today"))
	})
	require.Contains(t, o.log.String(), "max_ack_pending is 2, for all members together, and the listener's MaxInFlight is")
	publish[tag](t, o.client, 3)
	in.take(t, 2)
	require.ErrorContains(t, o.told.degraded(t, "are held up").Err, "2 events are delivered and not acknowledged")
	o.change(t, func(c *js.ConsumerConfig) { c.MaxAckPending = 3 })
	require.Equal(t, 3, in.next(t).n)
	o.told.recovered(t, "are held up")
}

// TestJetStreamSettingsAtListen: what holds events back or can lose them is told at Listen.
func TestJetStreamSettingsAtListen(t *testing.T) {
	t.Parallel()
	type priority struct{}
	type inactive struct{}
	t.Run("priority groups", func(t *testing.T) {
		t.Parallel()
		o := operatedOn[priority](t, func(c *js.ConsumerConfig) {
			c.PriorityGroups, c.PriorityPolicy = []string{"a"}, js.PriorityPolicyOverflow
		})
		listen(t, o.client, o.group, into[priority](newInbox()))
		require.Contains(t, o.log.String(), "priority_groups is [a]")
		o.told.degraded(t, "has priority groups")
	})
	t.Run("inactive threshold", func(t *testing.T) {
		t.Parallel()
		o := operatedOn[inactive](t, func(c *js.ConsumerConfig) { c.InactiveThreshold = time.Hour })
		listen(t, o.client, o.group, into[inactive](newInbox()))
		require.Contains(t, o.log.String(), "inactive_threshold is 1h0m0s")
	})
}
