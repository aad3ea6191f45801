package memory_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

func Example() {
	broker := memory.New(memory.JetStream())
	ctx := context.Background()
	c, err := client.Build(ctx, "ticketing", "orders-1", "", client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)
	p, err := publisher.New[events.ExpirationComplete](c)
	if err != nil {
		panic(err)
	}
	broker.RefuseNext()
	for range 2 {
		fmt.Println(p.Publish(ctx, events.ExpirationComplete{OrderID: "o1"}))
	}
	// Output:
	// publish expiration:complete: not stored: refused by the server: on demand
	// <nil>
}
