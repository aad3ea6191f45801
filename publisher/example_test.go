package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

func Example() {
	ctx := context.Background()
	c, err := client.Build(ctx, "ticketing", "tickets-1", "nats://localhost:4222",
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
	err = p.Publish(ctx, events.TicketCreated{ID: "t1", Title: "concert", Price: 20, UserID: "u1"})
	fmt.Println(err)

	err = p.Publish(ctx, events.TicketCreated{ID: "t2", Price: -1, UserID: "u1"})
	fmt.Println(errors.Is(err, publisher.ErrNotStored), err)

	stored, err := p.PublishAll(ctx, slices.Values([]events.TicketCreated{
		{ID: "t3", UserID: "u1"}, {ID: "t4", UserID: "u1"},
	}))
	fmt.Println(stored, err)
	// Output:
	// <nil>
	// true publish ticket:created: not stored: invalid event: price: -1 is negative
	// 2 <nil>
}
