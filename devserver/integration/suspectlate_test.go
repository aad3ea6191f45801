package integration_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener"
)

// TestSuspectsThatAreLate: more suspect events wait than can be handled within the ack wait, after
// so many members that ended that the server would send again after 150 s what is skipped as
// late. So none is skipped.
func TestSuspectsThatAreLate(t *testing.T) {
	t.Parallel()
	type tag struct{}
	subject, name := fresh[tag](t), group()
	c := connect(t)
	const events = 30
	publish[tag](t, c, events)
	for range 30 { // members that end before they begin anything
		conn, err := stan.Connect(server.clusterID, "raw-"+rand.Text(), stan.NatsURL(server.url))
		require.NoError(t, err)
		got := make(chan struct{}, 2*events)
		_, err = conn.QueueSubscribe(string(subject), name, func(*stan.Msg) { got <- struct{}{} },
			stan.DurableName(name), stan.SetManualAckMode(), stan.DeliverAllAvailable(), stan.MaxInflight(events), stan.AckWait(5*time.Second))
		require.NoError(t, err)
		for range events {
			select {
			case <-got:
			case <-time.After(patience):
				require.FailNow(t, "not delivered")
			}
		}
		require.NoError(t, conn.Close())
	}
	in := newInbox()
	listen(t, c, name, func(_ context.Context, e note[tag], d listener.Delivery) error {
		time.Sleep(300 * time.Millisecond)
		in.put(e.N, d)
		return nil
	}, listener.MaxInFlight(events))
	handled := make(map[int]bool)
	for len(handled) < events {
		handled[in.next(t).n] = true
	}
}
