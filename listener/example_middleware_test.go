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

// One middleware for all listeners of a client, whatever their events.
func ExampleUse() {
	logged := func(next listener.Invocation) listener.Invocation {
		return func(ctx context.Context, event events.Event, d listener.Delivery) error {
			err := next(ctx, event, d)
			fmt.Printf("%s handled %s, attempt %d: %v\n", d.Group, d.Subject, d.Attempt, err)
			return err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	c, err := client.Build(ctx, "ticketing", "orders-1", "nats://localhost:4222",
		listener.Defaults(listener.Use(logged)),
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
	l, err := listener.New(c, "orders-service", func(context.Context, events.ExpirationComplete, listener.Delivery) error {
		stop()
		return nil
	})
	if err != nil {
		panic(err)
	}
	if err := l.Listen(ctx); err != nil {
		panic(err)
	}
	// Output:
	// orders-service handled expiration:complete, attempt 1: <nil>
}

// What concerns one type of event needs no middleware: a handler is a function, and
// so is what wraps it. The result is handed to New as any other.
func ExampleHandler() {
	// paid wraps a handler: what costs nothing is none of its business.
	paid := func(h listener.Handler[events.TicketCreated]) listener.Handler[events.TicketCreated] {
		return func(ctx context.Context, e events.TicketCreated, d listener.Delivery) error {
			if e.Price == 0 {
				return nil
			}
			return h(ctx, e, d)
		}
	}
	handler := paid(func(_ context.Context, e events.TicketCreated, _ listener.Delivery) error {
		fmt.Println(e.Title, e.Price)
		return nil
	})
	for _, e := range []events.TicketCreated{{Title: "concert", Price: 20}, {Title: "open day"}} {
		if err := handler(context.Background(), e, listener.Delivery{}); err != nil {
			panic(err)
		}
	}
	// Output:
	// concert 20
}
