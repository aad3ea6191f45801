package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// TestMaxDeliver: the last delivery says so, and what is not acknowledged after it is given up.
func TestMaxDeliver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		as         Option
		deliveries int
		givenUp    bool
	}{"NATS Streaming": {NATSStreaming(), 4, false}, "JetStream": {JetStream(), 2, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				told, deliveries, last := []transport.Event(nil), 0, 0
				conn, err := New(test.as, MaxDeliver(2)).Dialer()(t.Context(), transport.Config{
					ClusterID: "c", ClientID: "me", Notify: func(e transport.Event) { told = append(told, e) },
				})
				require.NoError(t, err)
				_, err = conn.Subscribe(t.Context(), transport.SubscribeConfig{
					Subject: "a", Group: "g", Durable: "g", AckWait: 30 * time.Second, MaxInFlight: 1, Start: transport.All,
				},
					func(d transport.Delivery) {
						deliveries++
						if d.Last {
							last = deliveries
						}
					})
				require.NoError(t, err)
				conn.Publish(transport.Message{Subject: "a", Data: []byte("1")}, transport.ReceiptFunc(func(error) {}))
				time.Sleep(100 * time.Second)
				synctest.Wait()
				require.Equal(t, test.deliveries, deliveries)
				if test.givenUp {
					require.Equal(t, 2, last)
					require.Len(t, told, 1)
					require.Equal(t, transport.MessagesGivenUp, told[0].Kind)
					require.Equal(t, transport.Removed{Subject: "a", Group: "g", Durable: "g", First: 1, Last: 1, Count: 1}, told[0].Removed)
				} else {
					require.Empty(t, told)
				}
				require.NoError(t, conn.Close(t.Context()))
			})
		})
	}
	_, err := New(MaxDeliver(-1)).Dialer()(t.Context(), transport.Config{ClusterID: "c", ClientID: "me"})
	require.ErrorIs(t, err, transport.ErrInvalid)
}
