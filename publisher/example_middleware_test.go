package publisher_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// One middleware for all publishers of a client, whatever their events. It sees the
// outcome of each publish, though nobody waits for it.
func ExampleUse() {
	logged := func(next publisher.Invocation) publisher.Invocation {
		return func(ctx context.Context, event events.Event, o publisher.Publishing) error {
			o.SetHeader("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			o.OnOutcome(func(err error) { fmt.Printf("%s: %v\n", o.Subject, err) })
			return next(ctx, event, o)
		}
	}
	ctx := context.Background()
	c, err := client.Build(ctx, "ticketing", "tickets-1", "nats://localhost:4222",
		publisher.Defaults(publisher.Use(logged)),
		client.Transport(memory.New().Dialer()), // without this line, over NATS Streaming
		client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)

	p, err := publisher.New[events.TicketCreated](c)
	if err != nil {
		panic(err)
	}
	pending, err := p.PublishAsync(ctx, events.TicketCreated{ID: "t1", Title: "concert", Price: 20, UserID: "u1"})
	if err != nil {
		panic(err)
	}
	if err := pending.Wait(ctx); err != nil {
		panic(err)
	}
	// Output:
	// ticket:created: <nil>
}

// What concerns one type of event needs no middleware: Publish is a function, and
// so is what wraps it.
func ExamplePublisher_Publish() {
	ctx := context.Background()
	c, err := client.Build(ctx, "ticketing", "tickets-1", "nats://localhost:4222",
		client.Transport(memory.New().Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)
	p, err := publisher.New[events.TicketCreated](c)
	if err != nil {
		panic(err)
	}
	publish := func(ctx context.Context, e events.TicketCreated) error {
		if e.Title == "" {
			e.Title = "untitled"
		}
		return p.Publish(ctx, e)
	}
	fmt.Println(publish(ctx, events.TicketCreated{ID: "t1", Price: 20, UserID: "u1"}))
	// Output:
	// <nil>
}
