package publisher_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// A relay publishes what a service has written to its outbox. The row's ID is the message
// ID: a row that the relay publishes again, since it crashed before it could delete it, is
// not stored twice where the broker recognises message IDs.
func ExampleRaw() {
	type row struct {
		id      string
		payload []byte
	}
	ctx := context.Background()
	broker := memory.New(memory.JetStream())
	c, err := client.Build(ctx, "ticketing", "relay-1", "nats://localhost:4222",
		client.Transport(broker.Dialer()), // without this line, over NATS Streaming
		client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)

	relay, err := publisher.NewRaw(c)
	if err != nil {
		panic(err)
	}
	again := row{"7", []byte(`{"orderId":"o7"}`)}
	for _, r := range []row{again, {"8", []byte(`{"orderId":"o8"}`)}, again} {
		err := relay.Publish(ctx, publisher.Message{Subject: "expiration:complete", ID: r.id, Data: r.payload})
		fmt.Println(r.id, err)
	}
	fmt.Println("stored:", len(broker.Stored("expiration:complete")))
	// Output:
	// 7 <nil>
	// 8 <nil>
	// 7 <nil>
	// stored: 2
}
