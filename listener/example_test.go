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

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	c, err := client.Build(ctx, "ticketing", "orders-1", "nats://localhost:4222",
		client.Transport(memory.New().Dialer()), // without this line, over NATS Streaming
		client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer c.Close(context.WithoutCancel(ctx))

	p, err := publisher.New[events.ExpirationComplete](c)
	if err != nil {
		panic(err)
	}
	if err := p.Publish(ctx, events.ExpirationComplete{OrderID: "o1"}); err != nil {
		panic(err)
	}

	l, err := listener.New(c, "orders-service",
		func(_ context.Context, e events.ExpirationComplete, d listener.Delivery) error {
			fmt.Println("order", e.OrderID, "is over; sequence", d.Sequence, "attempt", d.Attempt)
			stop()
			return nil
		})
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Listen(ctx))
	// Output:
	// order o1 is over; sequence 1 attempt 1
	// <nil>
}
