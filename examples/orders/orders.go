package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

const (
	queueGroup = "orders-example" // the name of this service, which all its listeners share
	timeToPay  = 15 * time.Minute
)

// Orders takes orders for the tickets it has heard of, and cancels those whose time
// to pay is over.
type Orders struct {
	store     Store
	created   *publisher.Publisher[events.OrderCreated]
	cancelled *publisher.Publisher[events.OrderCancelled]

	// Tickets and Expirations are to be run, with client.Run.
	Tickets     *listener.Listener[events.TicketCreated]
	Expirations *listener.Listener[events.ExpirationComplete]
}

// NewOrders returns the service on the client and the store.
func NewOrders(c *client.Client, store Store) (*Orders, error) {
	o := &Orders{store: store}
	var errs [4]error
	o.created, errs[0] = publisher.New[events.OrderCreated](c)
	o.cancelled, errs[1] = publisher.New[events.OrderCancelled](c)
	o.Tickets, errs[2] = listener.New(c, queueGroup, o.ticketCreated, listener.DrainTimeout(drain))
	o.Expirations, errs[3] = listener.New(c, queueGroup, o.expirationComplete, listener.DrainTimeout(drain))
	return o, errors.Join(errs[:]...)
}

// Place orders a ticket. When it failed, the buyer may call it again with the same
// ID: the order is the same one, and is announced again. (The process may also end
// between the two steps. An outbox closes that gap, as in
// examples/ticketing/platform.)
func (o *Orders) Place(ctx context.Context, id, ticketID, buyer string) error {
	ticket, err := o.store.Ticket(ctx, ticketID)
	if err != nil {
		return fmt.Errorf("ticket %q: %w", ticketID, err)
	}
	order, err := o.store.AddOrder(ctx, events.OrderCreated{
		ID: id, Status: events.OrderStatusCreated, UserID: buyer, ExpiresAt: time.Now().Add(timeToPay),
		Ticket: events.OrderedTicket{ID: ticket.ID, Price: ticket.Price},
	})
	if err != nil {
		return err
	}
	return o.created.Publish(ctx, order)
}

// ticketCreated keeps the ticket, so that Place need not ask for it. When the store
// fails, so does this, and the event comes again.
func (o *Orders) ticketCreated(ctx context.Context, e events.TicketCreated, _ listener.Delivery) error {
	return o.store.SaveTicket(ctx, e)
}

// expirationComplete cancels the order. It publishes first: if the second step
// fails the event comes again, and the cancellation is published twice rather than
// never. Those who listen recognise it by its version.
func (o *Orders) expirationComplete(ctx context.Context, e events.ExpirationComplete, _ listener.Delivery) error {
	order, err := o.store.Order(ctx, e.OrderID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // not one of ours; to fail would bring it back for ever
	case err != nil:
		return err
	case order.Status == events.OrderStatusCancelled:
		return nil // the event came before
	}
	order.Status = events.OrderStatusCancelled
	order.Version++
	err = o.cancelled.Publish(ctx, events.OrderCancelled{
		ID: order.ID, Version: order.Version, Ticket: events.CancelledTicket{ID: order.Ticket.ID},
	})
	if err != nil {
		return err
	}
	return o.store.SaveOrder(ctx, order)
}
