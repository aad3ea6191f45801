package listener_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// FuzzPayload: whatever is on a channel, the listener of each event of the
// catalogue handles it, or makes a dead letter of it that holds its exact bytes,
// and goes on.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		`{"orderId":"o1"}`, `null`, `{`, "\xff", `{"orderId":"\ud800"}`, `[]`, `{"id":"1","version":-1}`, "",
		`{"id":"1","version":0,"title":"t","price":20,"userId":"u"}`,
		`{"id":"1","version":0,"status":"created","userId":"u","expiresAt":"2026-01-01T00:00:00.000Z","ticket":{"id":"t","price":1}}`,
	} {
		f.Add([]byte(seed))
	}
	letters := make(chan events.DeadLetter, 10)
	conn := &fakeconn.Conn{OnPublish: func(m transport.Message, r transport.Receipt) {
		var letter events.DeadLetter
		if err := (codec.JSON{}).Decode(m.Data, &letter); err == nil && string(letter.Subject()) == m.Subject {
			letters <- letter
		}
		r.Done(nil)
	}}
	c, _ := build(f, conn)
	var handled atomic.Int64
	ls := []interface {
		listener.Runner
		Ready() <-chan struct{}
	}{
		ofAll[events.TicketCreated](f, c, &handled), ofAll[events.TicketUpdated](f, c, &handled), ofAll[events.OrderCreated](f, c, &handled),
		ofAll[events.OrderCancelled](f, c, &handled), ofAll[events.ExpirationComplete](f, c, &handled), ofAll[events.PaymentCreated](f, c, &handled),
	}
	require.Len(f, events.Catalogue(), len(ls))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, len(ls))
	for _, l := range ls {
		ready := l.Ready()
		go func() { ended <- l.Listen(ctx) }()
		<-ready
	}
	f.Cleanup(func() {
		stop()
		for range ls {
			require.NoError(f, <-ended)
		}
	})
	var sequence atomic.Uint64
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, sub := range conn.Subscriptions() {
			before := handled.Load()
			n := sequence.Add(1)
			settled := sub.Deliver(transport.Delivery{Sequence: n, Timestamp: time.Unix(1, 0), Data: payload})
			require.Eventually(t, func() bool { return settled.Acks() == 1 }, 10*time.Second, 100*time.Microsecond)
			if handled.Load() == before+1 {
				continue
			}
			letter := <-letters
			require.Equal(t, n, letter.Sequence)
			require.Equal(t, string(payload), string(letter.Data))
			require.Contains(t, []events.DeadLetterReason{events.DeadLetterUndecodable, events.DeadLetterInvalid}, letter.Reason)
		}
		require.Empty(t, letters)
	})
}

// ofAll returns a listener that validates, and counts what it handles.
func ofAll[T events.Event](f *testing.F, c *client.Client, handled *atomic.Int64) *listener.Listener[T] {
	f.Helper()
	l, err := listener.New(c, "g", func(context.Context, T, listener.Delivery) error {
		handled.Add(1)
		return nil
	}, listener.Validate())
	require.NoError(f, err)
	return l
}
