//go:build !race

package listener_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// TestAllocations holds what an event allocates, from a broker in memory to its
// acknowledgement, to what it was. The race detector allocates, too: make test runs
// it without.
func TestAllocations(t *testing.T) {
	for name, test := range map[string]struct {
		broker  memory.Option
		most    float64
		options []listener.Option
	}{
		"streaming": {memory.NATSStreaming(), 4, nil},
		"jetstream": {memory.JetStream(), 4, nil},
		"ordered": {memory.NATSStreaming(), 4, []listener.Option{
			listener.Concurrency(16), listener.OrderingKey(func(e events.TicketCreated) string { return e.ID }),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.Build(t.Context(), "ticketing", "allocs", "nats://none",
				client.Transport(memory.New(test.broker).Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close(context.Background())) }()
			p, err := publisher.New[events.TicketCreated](c)
			require.NoError(t, err)
			const n = 20_000
			event := events.TicketCreated{ID: "5f8a4c1e9b3d", Version: 3, Title: "A concert in the open air", Price: 49.9, UserID: "5f8a4c1e9b3e"}
			for range n {
				require.NoError(t, p.Publish(t.Context(), event))
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			handled := make(chan struct{}, n)
			l, err := listener.New(c, "group", func(context.Context, events.TicketCreated, listener.Delivery) error {
				handled <- struct{}{}
				return nil
			}, append(test.options, listener.MaxInFlight(1024))...)
			require.NoError(t, err)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ended := make(chan error, 1)
			go func() { ended <- l.Listen(ctx) }()
			for range n {
				<-handled
			}
			runtime.ReadMemStats(&after)
			stop()
			require.NoError(t, <-ended)
			const once = 0.2 // what is allocated once, and where tables grow
			require.LessOrEqual(t, float64(after.Mallocs-before.Mallocs)/n, test.most+once)
		})
	}
}
