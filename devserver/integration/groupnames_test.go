package integration_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/jetstream"
)

// groupNames are names of queue groups that the NATS Streaming server takes.
var groupNames = []string{
	"payments:service", "Payments Service", "payments/service", "zahlungen-übersicht", "支付", "*", ">", "a.*.>", "a.b", "a..b", ".", "50%off", "a%20b", "_begun",
	`back\slash`, `"quoted"`, " edge ", "tab\tand\nbreak", "nul\x00", "::", strings.Repeat("long ", 20),
}

// TestNodeGroupsOfAnyNameAreJoined: a Go service shares the events with members that are no Go
// services, and goes on where the group stood after a restart of the server.
func TestNodeGroupsOfAnyNameAreJoined(t *testing.T) {
	t.Parallel()
	s := startServer(t, devserver.StoreDir(t.TempDir()), devserver.MaxChannels(0))
	type tag struct{}
	for _, name := range groupNames {
		subject := fresh[tag](t)
		c, err := client.Build(deadline(t), s.server.ClusterID(), "go-"+rand.Text(), s.server.URL(), quiet())
		require.NoError(t, err)
		node, err := stan.Connect(s.server.ClusterID(), "node-"+rand.Text(), stan.NatsURL(s.server.URL()))
		require.NoError(t, err)
		var inNode atomic.Int64
		all := newInbox()
		_, err = node.QueueSubscribe(string(subject), name, func(m *stan.Msg) {
			inNode.Add(1)
			_ = m.Ack()
			all.put(int(m.Sequence), listener.Delivery{})
		}, stan.DurableName("durable"), stan.SetManualAckMode(), stan.DeliverAllAvailable())
		require.NoError(t, err, name)
		l := listen(t, c, name, into[tag](all), listener.DurableName("durable"))
		publish[tag](t, c, 20)
		sum := 0
		for _, n := range all.take(t, 20) {
			sum += n
		}
		require.Equal(t, 20*21/2, sum, "each event once among both: %q", name)
		require.NotZero(t, inNode.Load(), name)
		require.Less(t, inNode.Load(), int64(20), name)
		require.NoError(t, l.end(t))
		require.NoError(t, node.Close())
		publishFrom[tag](t, c, 21, 21)
		closeClient(t, c)
	}
	require.NoError(t, s.server.Restart())
	// Of the last name, since each event type has one subject at a time.
	box := newInbox()
	listen(t, s.connect(t), groupNames[len(groupNames)-1], into[tag](box), listener.DurableName("durable"))
	require.Equal(t, []int{21}, box.take(t, 1))
}

// TestColonsWhereTheServerTakesThem: in the name of a group without a durable, which is shared
// with others, and in that of a durable without a group.
func TestColonsWhereTheServerTakesThem(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject := fresh[tag](t)
	c, box := connect(t), newInbox()
	node, err := stan.Connect(server.clusterID, "node-"+rand.Text(), stan.NatsURL(server.url))
	require.NoError(t, err)
	defer func() { require.NoError(t, node.Close()) }()
	name := "with:colon:" + rand.Text()
	_, err = node.QueueSubscribe(string(subject), name, func(m *stan.Msg) { box.put(int(m.Sequence), listener.Delivery{}) })
	require.NoError(t, err)
	listen(t, c, name, into[tag](box), listener.Ephemeral())
	publish[tag](t, c, 20)
	box.take(t, 20)
	require.Empty(t, box.arrived)
	alone := newInbox()
	listen(t, c, "", into[tag](alone), listener.DurableName(name))
	require.Equal(t, count(20), alone.take(t, 20))
	require.Empty(t, box.arrived, "each came once")
}

// TestGroupsOfAnyNameOverBothBrokers: their dead letters have subjects of their own, hold the
// group's name as it is, and are put back for it.
func TestGroupsOfAnyNameOverBothBrokers(t *testing.T) {
	t.Parallel()
	for _, overJetStream := range []bool{false, true} {
		t.Run(map[bool]string{false: "NATS Streaming", true: "JetStream"}[overJetStream], func(t *testing.T) {
			t.Parallel()
			s := startServer(t, devserver.MaxChannels(0), devserver.StoreDir(t.TempDir()))
			var opts []client.Option
			clusterID := s.server.ClusterID()
			if overJetStream {
				opts, clusterID = []client.Option{client.JetStream(jetstream.MemoryStorage()), client.Subjects("test.groups.>")}, "names"
			}
			c, err := client.Build(deadline(t), clusterID, "test", s.server.URL(), append(opts, quiet())...)
			require.NoError(t, err)
			t.Cleanup(func() { closeClient(t, c) })
			raw, err := publisher.NewRaw(c)
			require.NoError(t, err)
			var ends []func()
			start := func(l listener.Runner) {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- l.Listen(ctx) }()
				ends = append(ends, func() { cancel(); require.NoError(t, <-ended) })
			}
			for i, name := range groupNames {
				subject := subjects.Subject("test.groups." + strconv.Itoa(i))
				require.NoError(t, raw.Publish(deadline(t), publisher.Message{Subject: subject, Data: []byte("seat 1")}))
				dead, handled := make(chan events.DeadLetter, 1), make(chan listener.Delivery, 1)
				var mended atomic.Bool
				l, err := listener.NewRaw(c, subject, name, func(_ context.Context, _ []byte, d listener.Delivery) error {
					if !mended.Load() {
						return listener.Reject(errors.New("not yet"))
					}
					handled <- d
					return nil
				}, listener.DurableName("durable"))
				require.NoError(t, err)
				alerts, err := listener.NewDeadLetters(c, name, listener.DeadLettersOf{Group: name, Subject: subject},
					func(_ context.Context, e events.DeadLetter, d listener.Delivery) error {
						require.Equal(t, events.DeadLetterSubject(name, subject), d.Subject)
						dead <- e
						return nil
					}, listener.DurableName("durable"))
				require.NoError(t, err)
				start(l)
				start(alerts)
				letter := <-dead
				require.Equal(t, name, letter.Group)
				require.Equal(t, "seat 1", string(letter.Data))

				mended.Store(true)
				got, err := deadletter.Redrive(deadline(t), c, name, subject, deadletter.Limit(1))
				require.NoError(t, err, name)
				require.Equal(t, deadletter.Result{Redriven: 1}, got, name)
				d := <-handled
				if overJetStream {
					is := d.Header[deadletter.RedrivenFor]
					require.Len(t, is, 1)
					if is[0] != name {
						require.Equal(t, events.EscapeGroup(name), is[0])
					}
				}
				for _, end := range ends {
					end()
				}
				ends = nil
				require.Empty(t, dead, "no dead letter of another group came: %q", name)
				require.NoError(t, l.DeleteDurable(deadline(t)))
				require.NoError(t, alerts.DeleteDurable(deadline(t)))
			}
		})
	}
}
