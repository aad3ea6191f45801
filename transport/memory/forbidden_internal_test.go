package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestForbidden: publishes are refused, and events whose acknowledgements are come again.
func TestForbidden(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]Option{"NATS Streaming": NATSStreaming(), "JetStream": JetStream()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testForbidden(t, New(as)) })
		})
	}
}

func testForbidden(t *testing.T, b *Broker) {
	t.Helper()
	var told []transport.Event
	conn, err := b.Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me", Notify: func(e transport.Event) { told = append(told, e) }})
	require.NoError(t, err)
	publish := func(subject string) (outcome error) {
		conn.Publish(transport.Message{Subject: subject, Data: []byte("1")}, transport.ReceiptFunc(func(err error) { outcome = err }))
		return outcome
	}
	b.ForbidPublish("a.>")
	require.ErrorIs(t, publish("a.b"), transport.ErrForbidden)
	require.ErrorIs(t, publish("a.b"), transport.ErrNotStored)
	require.NoError(t, publish("b"))
	require.Empty(t, b.Stored("a.b"))

	b.ForbidAcks("b")
	deliveries := 0
	sub, err := conn.Subscribe(t.Context(), transport.SubscribeConfig{Subject: "b", Group: "g", Durable: "g", AckWait: 30 * time.Second, MaxInFlight: 1, Start: transport.All},
		func(d transport.Delivery) {
			deliveries++
			require.NoError(t, d.Settler.Ack())
			d.Settler.Release()
		})
	require.NoError(t, err)
	time.Sleep(100 * time.Second)
	synctest.Wait()
	require.Equal(t, 4, deliveries)
	require.Len(t, told, 1)
	require.Equal(t, transport.Degraded, told[0].Kind)
	require.ErrorIs(t, told[0].Err, transport.ErrForbidden)

	b.AllowAll()
	synctest.Wait()
	require.Len(t, told, 2)
	require.Equal(t, transport.Recovered, told[1].Kind)
	require.Equal(t, told[0].Reason, told[1].Reason)
	require.NoError(t, publish("a.b"))
	time.Sleep(100 * time.Second)
	synctest.Wait()
	require.Equal(t, 5, deliveries)
	require.NoError(t, sub.Close(t.Context()))
	require.NoError(t, conn.Close(t.Context()))
}
