package memory

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func harness(features transport.Features, opts ...Option) transporttest.Harness {
	return transporttest.Harness{
		Open:     func(*testing.T) transport.Dialer { return New(opts...).Dialer() },
		Features: features,
		AckWait:  30 * time.Second,
		Around:   synctest.Test,
	}
}

func TestConformanceAsNATSStreaming(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, harness(natsStreaming, NATSStreaming()))
}

func TestConformanceAsJetStream(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, harness(jetStream, JetStream()))
}

func TestStored(t *testing.T) {
	t.Parallel()
	b := New()
	require.Empty(t, b.Stored("a"))
	require.Empty(t, b.Subjects())
	conn, err := b.Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me"})
	require.NoError(t, err)
	changed := b.Changed()
	for _, m := range []transport.Message{{Subject: "b", Data: []byte("1")}, {Subject: "a", Data: []byte("2")}, {Subject: "b", Data: []byte("3")}} {
		conn.Publish(m, transport.ReceiptFunc(func(err error) { require.NoError(t, err) }))
	}
	<-changed
	require.Equal(t, []string{"a", "b"}, b.Subjects())
	require.Equal(t, []transport.Message{{Subject: "b", Data: []byte("1")}, {Subject: "b", Data: []byte("3")}}, b.Stored("b"))
	select {
	case <-b.Changed():
		t.Fatal("nothing was stored since")
	default:
	}
	b.EmptyStore()
	require.Empty(t, b.Subjects())
	require.NoError(t, conn.Close(t.Context()))
}

// TestBrokerThatNewDidNotMake refuses to connect.
func TestBrokerThatNewDidNotMake(t *testing.T) {
	t.Parallel()
	for _, b := range []*Broker{nil, new(Broker)} {
		_, err := b.Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me"})
		require.ErrorIs(t, err, transport.ErrInvalid)
		require.EqualError(t, err, "invalid broker: nil; make one with memory.New")
	}
}

// TestPatternsKeepTheOrder in which messages were stored on different subjects, also of
// those stored at the same moment.
func TestPatternsKeepTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn, err := New(JetStream()).Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me"})
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(context.Background())) }()
		const n = 20
		for i := range n {
			subject := "a." + string(rune('a'+i*7%n))
			conn.Publish(transport.Message{Subject: subject, Data: []byte{byte(i)}}, transport.ReceiptFunc(func(err error) { require.NoError(t, err) }))
		}
		arrived := make(chan transport.Delivery, n)
		_, err = conn.Subscribe(t.Context(), transport.SubscribeConfig{
			Subject: "a.*", Start: transport.All, AckWait: time.Minute, MaxInFlight: n,
		}, func(d transport.Delivery) { arrived <- d })
		require.NoError(t, err)
		for i := range n {
			require.Equal(t, []byte{byte(i)}, (<-arrived).Data)
		}
	})
}

// TestReleaseMakesRoom where members request what they have room for, and there only.
func TestReleaseMakesRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		like     Option
		makes    bool
		sequence uint64 // delivered after the release
	}{"NATS Streaming": {NATSStreaming(), false, 1}, "JetStream": {JetStream(), true, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn, err := New(c.like).Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me"})
				require.NoError(t, err)
				defer func() { require.NoError(t, conn.Close(context.Background())) }()
				for range 3 {
					conn.Publish(transport.Message{Subject: "a"}, transport.ReceiptFunc(func(err error) { require.NoError(t, err) }))
				}
				arrived := make(chan transport.Delivery, 10)
				_, err = conn.Subscribe(t.Context(), transport.SubscribeConfig{
					Subject: "a", Durable: "d", Group: "g", Start: transport.All, AckWait: time.Minute, MaxInFlight: 1,
				}, func(d transport.Delivery) { arrived <- d })
				require.NoError(t, err)
				first := <-arrived
				began := time.Now()
				first.Settler.Release()
				first.Settler.Release() // frees one place, not two
				synctest.Wait()
				require.LessOrEqual(t, len(arrived), 1)
				second := <-arrived
				require.Equal(t, c.sequence, second.Sequence)
				require.Equal(t, c.makes, time.Since(began) == 0)
				synctest.Wait()
				require.Empty(t, arrived)
			})
		})
	}
}

// TestDropConnections: what was not handled comes again, what was not confirmed is sent
// again, and the owner is told.
func TestDropConnections(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		like   Option
		stored int
	}{"NATS Streaming": {NATSStreaming(), 3}, "JetStream": {JetStream(), 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := New(c.like)
			var told []transport.EventKind
			conn, err := b.Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me", Notify: func(e transport.Event) { told = append(told, e.Kind) }})
			require.NoError(t, err)
			arrived, interrupted := make(chan transport.Delivery, 10), 0
			_, err = conn.Subscribe(t.Context(), transport.SubscribeConfig{
				Subject: "a", Durable: "d", Group: "g", Start: transport.All, AckWait: time.Hour, MaxInFlight: 10,
				Interrupted: func() { interrupted++ },
			}, func(d transport.Delivery) { arrived <- d })
			require.NoError(t, err)
			conn.Publish(transport.Message{Subject: "a"}, transport.ReceiptFunc(func(err error) { require.NoError(t, err) }))
			require.False(t, (<-arrived).Redelivered)
			b.LoseAckOfNext()
			settled := 0
			conn.Publish(transport.Message{Subject: "a", ID: "2"}, transport.ReceiptFunc(func(err error) {
				require.NoError(t, err)
				settled++
			}))
			<-arrived
			require.Zero(t, settled)

			b.DropConnections()
			require.Equal(t, []transport.EventKind{transport.Disconnected, transport.Reconnected}, told)
			require.Equal(t, 1, interrupted)
			require.Equal(t, 1, settled)
			require.Len(t, b.Stored("a"), c.stored)
			for i := range c.stored {
				d := <-arrived
				require.Equal(t, i < 2, d.Redelivered, "event %d", d.Sequence)
				require.NoError(t, d.Settler.Ack())
			}
			require.NoError(t, conn.Err())
			require.NoError(t, conn.Close(t.Context()))
		})
	}
}
