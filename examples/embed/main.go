// Command embed is a service with types of its own around the library's base
// types: publisher.go and listener.go embed a publisher and a listener, event.go
// defines an event that the library does not know.
//
//	go run ./examples/embed
//
// It assigns a seat to each order:created event, the first of which it publishes
// itself, until Ctrl-C. Its settings are those of examples/listen.
package main

import (
	"context"
	"crypto/rand"
	"log"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// drain is how long handlers have to finish once the service is to end. Kubernetes kills a
// pod 30 s after its SIGTERM, and closing the client takes up to 10 s (client.CloseTimeout).
const drain = 15 * time.Second

func run(ctx context.Context) error {
	c, err := client.FromEnv(ctx)
	if err != nil {
		return err
	}
	seats, err := NewSeatPublisher(c, 500)
	if err != nil {
		return err
	}
	orders, err := NewOrderListener(c, seats)
	if err != nil {
		return err
	}
	ushers, err := NewUsherListener(c, "Ada")
	if err != nil {
		return err
	}
	if err := placeOrder(ctx, c); err != nil {
		return err
	}
	return client.Run(ctx, c, orders, ushers) // until Ctrl-C, or one of them fails
}

// placeOrder publishes an order, so that there is something to see.
func placeOrder(ctx context.Context, c *client.Client) error {
	orders, err := publisher.New[events.OrderCreated](c)
	if err != nil {
		return err
	}
	return orders.Publish(ctx, events.OrderCreated{
		ID: rand.Text(), Status: events.OrderStatusCreated, UserID: "embed", ExpiresAt: time.Now().Add(15 * time.Minute),
		Ticket: events.OrderedTicket{ID: rand.Text(), Price: 20},
	})
}
