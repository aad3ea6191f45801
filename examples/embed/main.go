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
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	c, err := client.FromEnv(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut(c)) }()

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
	return listener.Run(ctx, orders, ushers) // until ctx is done, or one of them fails
}

// Kubernetes kills a pod 30 s after its SIGTERM, unless told otherwise: handlers
// that run then have drain to finish, and the connection closing to close.
const (
	drain   = 20 * time.Second
	closing = 5 * time.Second
)

// shut closes the client. Not with run's context, which has ended by then.
func shut(c *client.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return c.Close(ctx)
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
