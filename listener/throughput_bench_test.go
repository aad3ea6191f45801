package listener_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// BenchmarkInProcess takes b.N events through a publisher and a listener, with
// nothing between them but memory.
func BenchmarkInProcess(b *testing.B) {
	for name, broker := range map[string]memory.Option{"streaming": memory.NATSStreaming(), "jetstream": memory.JetStream()} {
		b.Run(name, func(b *testing.B) {
			c, err := client.Build(b.Context(), "ticketing", "bench", "nats://none",
				client.Transport(memory.New(broker).Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
			require.NoError(b, err)
			p, err := publisher.New[events.TicketCreated](c)
			require.NoError(b, err)
			handled, done := 0, make(chan struct{})
			l, err := listener.New(c, "bench", func(context.Context, events.TicketCreated, listener.Delivery) error {
				handled++
				if handled == b.N {
					close(done)
				}
				return nil
			}, listener.MaxInFlight(1024))
			require.NoError(b, err)
			ended := make(chan error, 1)
			go func() { ended <- l.Listen(b.Context()) }()
			<-l.Ready()
			b.ReportAllocs()
			b.ResetTimer()
			event := events.TicketCreated{ID: "ticket-0123456789", Title: "a concert in the open air", Price: 20, UserID: "user-0123456789"}
			for n := range b.N {
				event.Version = int64(n)
				require.NoError(b, p.Publish(b.Context(), event))
			}
			<-done
			b.StopTimer()
			require.NoError(b, c.Close(context.Background()))
			require.NoError(b, <-ended)
		})
	}
}
