package listener_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/memory"
)

// TestHistoryOfWhichOneSubjectIsReadFaster: a new service, with the defaults, whose handler
// of one subject takes long. Nothing is missing, so that nothing becomes a dead letter,
// though those that wait do so for longer than VersionGapTimeout.
func TestHistoryOfWhichOneSubjectIsReadFaster(t *testing.T) {
	t.Parallel()
	const tickets, updates = 400, 20
	for _, slow := range []time.Duration{230 * time.Millisecond, 4 * time.Second} { // 92 s, 27 minutes
		t.Run(slow.String(), func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, broker *memory.Broker) {
				t.Helper()
				c, err := client.Build(t.Context(), "ticketing", "replica", "nats://none",
					client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
				require.NoError(t, err)
				for n := range tickets {
					publish(t, c, events.TicketCreated{ID: fmt.Sprintf("t%d", n), UserID: "u1"})
				}
				for n := tickets - updates; n < tickets; n++ {
					publish(t, c, events.TicketUpdated{ID: fmt.Sprintf("t%d", n), Version: 1, UserID: "u1"})
				}
				time.Sleep(time.Hour) // it is history
				store := listener.NewMemoryVersions()
				var updated atomic.Int64
				creations, err := listener.New(c, "replica", func(context.Context, events.TicketCreated, listener.Delivery) error {
					time.Sleep(slow)
					return nil
				}, listener.InVersionOrder(store))
				require.NoError(t, err)
				changes, err := listener.New(c, "replica", func(_ context.Context, _ events.TicketUpdated, d listener.Delivery) error {
					updated.Add(1)
					if d.Attempt != 1 {
						t.Errorf("attempt %d", d.Attempt)
					}
					return nil
				}, listener.InVersionOrder(store))
				require.NoError(t, err)
				ended := make(chan error, 1)
				go func() { ended <- listener.Run(context.WithoutCancel(t.Context()), creations, changes) }()
				time.Sleep(tickets*slow + time.Minute)
				require.EqualValues(t, updates, updated.Load())
				require.Empty(t, broker.Stored("dead.replica.ticket:updated"))
				require.Empty(t, broker.Stored("dead.replica.ticket:created"))
				require.NoError(t, c.Close(context.Background()))
				require.NoError(t, <-ended)
			})
		})
	}
}

// TestVersionGapTimeout ends the wait of a handler's own version gap, too. To wait is told
// once at level Info; the rest is for debugging.
func TestVersionGapTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listenOn(t, &fakeconn.Conn{}, func(context.Context, expiration, listener.Delivery) error {
			return fmt.Errorf("order o1: %w", listener.ErrVersionGap)
		}, listener.VersionGapTimeout(2*time.Second), listener.MaxAttempts(2))
		b.deliver(1)
		time.Sleep(1900 * time.Millisecond)
		require.Empty(t, b.conn.Published())
		time.Sleep(1500 * time.Millisecond)
		require.Len(t, b.conn.Published(), 1)
		letter := decodeDeadLetter(t, b.conn.Published()[0].Data)
		require.Equal(t, events.DeadLetterVersionGap, letter.Reason)
		require.Zero(t, letter.Attempts)
		require.Equal(t, 1, letter.Deliveries)
		require.Contains(t, b.log.String(), "level=INFO msg=\"event can't be handled yet, which is no attempt")
		require.NotContains(t, b.log.String(), "handler failed")
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestVersionGapTimeoutHasToBePositive(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{})
	_, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil }, listener.VersionGapTimeout(0))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option VersionGapTimeout: 0s; must be positive")
}
