package publisher_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// ways to publish an event, and what each allocates, the broker's copy of the
// payload included; PublishAll with what its call takes, for a single event.
var ways = []struct {
	name    string
	broker  memory.Option
	allocs  float64
	publish func(testing.TB, *publisher.Publisher[events.TicketCreated], events.TicketCreated)
}{
	{"streaming/Publish", memory.NATSStreaming(), 1, publish},
	{"streaming/PublishAsync", memory.NATSStreaming(), 2, publishAsync},
	{"streaming/PublishAll", memory.NATSStreaming(), 5, publishAll},
	{"jetstream/Publish", memory.JetStream(), 8, publish},
	{"jetstream/PublishAsync", memory.JetStream(), 9, publishAsync},
	{"jetstream/PublishAll", memory.JetStream(), 12, publishAll},
}

func publish(tb testing.TB, p *publisher.Publisher[events.TicketCreated], event events.TicketCreated) {
	tb.Helper()
	if err := p.Publish(tb.Context(), event); err != nil {
		tb.Fatal(err)
	}
}

func publishAsync(tb testing.TB, p *publisher.Publisher[events.TicketCreated], event events.TicketCreated) {
	tb.Helper()
	pending, err := p.PublishAsync(tb.Context(), event)
	if err == nil {
		err = pending.Wait(tb.Context())
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func publishAll(tb testing.TB, p *publisher.Publisher[events.TicketCreated], event events.TicketCreated) {
	tb.Helper()
	if _, err := p.PublishAll(tb.Context(), slices.Values([]events.TicketCreated{event})); err != nil {
		tb.Fatal(err)
	}
}

// onMemory returns a publisher to a broker in memory.
func onMemory(tb testing.TB, broker memory.Option) (*publisher.Publisher[events.TicketCreated], events.TicketCreated) {
	tb.Helper()
	c, err := client.Build(tb.Context(), "ticketing", "bench", "nats://none",
		client.Transport(memory.New(broker).Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, c.Close(context.Background())) })
	p, err := publisher.New[events.TicketCreated](c)
	require.NoError(tb, err)
	return p, events.TicketCreated{ID: "5f8a4c1e9b3d", Version: 3, Title: "A concert in the open air", Price: 49.9, UserID: "5f8a4c1e9b3e"}
}

// BenchmarkPublish is the way of an event to the transport, with nothing behind it
// but memory.
func BenchmarkPublish(b *testing.B) {
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			p, event := onMemory(b, w.broker)
			b.ReportAllocs()
			for b.Loop() {
				w.publish(b, p, event)
			}
		})
	}
}
