//go:build node

package node_test

import (
	"context"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
)

// publishAll publishes events of any type, one after the other.
func publishAll(ctx context.Context, c *client.Client, all []events.Event) error {
	for _, e := range all {
		var err error
		switch e := e.(type) {
		case events.TicketCreated:
			err = publishOne(ctx, c, e)
		case events.TicketUpdated:
			err = publishOne(ctx, c, e)
		case events.OrderCreated:
			err = publishOne(ctx, c, e)
		case events.OrderCancelled:
			err = publishOne(ctx, c, e)
		case events.ExpirationComplete:
			err = publishOne(ctx, c, e)
		case events.PaymentCreated:
			err = publishOne(ctx, c, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func publishOne[T events.Event](ctx context.Context, c *client.Client, e T) error {
	p, err := publisher.New[T](c)
	if err != nil {
		return err
	}
	return p.Publish(ctx, e)
}
