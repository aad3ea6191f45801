package listener_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// Two listeners, of the two subjects that tell of tickets, share a store.
func ExampleInVersionOrder() {
	ctx, stop := context.WithCancel(context.Background())
	c, err := client.Build(ctx, "ticketing", "orders-1", "nats://localhost:4222",
		client.Transport(memory.New().Dialer()), // without this line, over NATS Streaming
		client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer c.Close(context.WithoutCancel(ctx))

	inOrder := listener.InVersionOrder(listener.NewMemoryVersions()) // or a table of the service's own database
	created, err := listener.New(c, "orders-service", func(_ context.Context, e events.TicketCreated, _ listener.Delivery) error {
		fmt.Println("version", e.Version, "costs", e.Price)
		return nil
	}, inOrder)
	if err != nil {
		panic(err)
	}
	updated, err := listener.New(c, "orders-service", func(_ context.Context, e events.TicketUpdated, _ listener.Delivery) error {
		fmt.Println("version", e.Version, "costs", e.Price)
		if e.Version == 2 {
			stop()
		}
		return nil
	}, inOrder)
	if err != nil {
		panic(err)
	}

	tickets, err := publisher.New[events.TicketCreated](c)
	if err != nil {
		panic(err)
	}
	updates, err := publisher.New[events.TicketUpdated](c)
	if err != nil {
		panic(err)
	}
	for _, version := range []int64{2, 1, 1} { // out of order and doubled, and before the ticket itself
		if err := updates.Publish(ctx, events.TicketUpdated{ID: "t1", Version: version, Price: 20 + float64(version), UserID: "u1"}); err != nil {
			panic(err)
		}
	}
	if err := tickets.Publish(ctx, events.TicketCreated{ID: "t1", Price: 20, UserID: "u1"}); err != nil {
		panic(err)
	}
	if err := listener.Run(ctx, created, updated); err != nil {
		panic(err)
	}
	// Output:
	// version 0 costs 20
	// version 1 costs 21
	// version 2 costs 22
}
