package listener_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// TestEveryDeliveryIsSettledOrReleased: whatever becomes of an event, the transport
// learns of each of its deliveries that nobody settles it, or how it is settled. One that
// was forgotten would take room of the subscription for ever.
func TestEveryDeliveryIsSettledOrReleased(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]listener.Option{
		"by return": nil, "manual": {listener.ManualAck()}, "without dead letters": {listener.NoDeadLetters()},
		"by key": {listener.Concurrency(2), listener.OrderingKey(func(e expiration) string { return "all" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBothFeatures(t, func(s fakeBed) {
				var published atomic.Int64
				conn := &fakeconn.Conn{Declared: s.features, OnPublish: func(_ transport.Message, r transport.Receipt) {
					if published.Add(1)%2 == 0 {
						r.Done(nil)
					} else {
						r.Done(transport.ErrNotStored)
					}
				}}
				b := listenOn(s.T, conn, func(_ context.Context, e expiration, d listener.Delivery) error {
					switch {
					case d.Sequence%6 == 1:
						return errors.Join(d.Ack(), listener.Reject(errNotToday))
					case d.Sequence%6 == 2:
						return listener.RetryAfter(time.Minute, errNotToday)
					case d.Sequence%6 == 3 && d.Attempt < 3:
						return errNotToday
					case d.Sequence%6 == 4:
						time.Sleep(3 * time.Second)
					}
					return nil
				}, append(opts, listener.Backoff(time.Second, time.Second))...)
				var all []*fakeconn.Settled
				for round := range 4 {
					for sequence := range uint64(18) {
						all = append(all, b.deliver(sequence+1)) // again and again: handled, here, early, given up
						if sequence == 6 {
							time.Sleep(time.Second)
						}
					}
					if round == 1 {
						synctest.Wait()
						conn.Subscriptions()[0].Config.Interrupted()
					}
					time.Sleep(7 * time.Second)
				}
				all = append(all, b.deliver(100))
				time.Sleep(time.Minute)
				b.end(s.T)
				for i, d := range all {
					require.Positive(s, d.Acks()+d.Naks()+d.Released(), "delivery %d of event %d", i, i%18+1)
				}
			})
		})
	}
}
