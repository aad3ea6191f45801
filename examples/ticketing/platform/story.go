package platform

import (
	"context"
	"errors"
	"time"

	"github.com/sgtickets/common/events"
)

// reload is how long people wait before they look at the page again.
const reload = 20 * time.Millisecond

// Story is what people do with one ticket: someone sells it, someone orders it
// and forgets to pay, and when it is free again someone else buys it. It returns
// when the ticket is sold, or with the error of ctx. tell is called with what
// people do.
func (p *Platform) Story(ctx context.Context, title string, tell func(string)) error {
	tell("Ada puts a ticket up for sale")
	ticket := p.Tickets.Create(title, 20, "Ada")

	tell("Bob orders it and forgets to pay")
	forgotten, err := p.order(ctx, ticket, "Bob")
	if err != nil {
		return err
	}
	if _, err := p.outcome(ctx, forgotten); err != nil {
		return err
	}

	tell("Bob's time is over; Eve would like the ticket, too")
	for {
		order, err := p.order(ctx, ticket, "Eve")
		if err != nil {
			return err
		}
		tell("Eve has ordered it, and pays")
		if err := p.pay(ctx, order); err != nil {
			return err
		}
		switch status, err := p.outcome(ctx, order); {
		case err != nil:
			return err
		case status == events.OrderStatusComplete:
			tell("the ticket is Eve's")
			return nil
		}
		tell("Eve's time was over before her payment arrived; she tries again")
	}
}

// order places an order once the ticket is to be had.
func (p *Platform) order(ctx context.Context, ticketID, buyer string) (orderID string, err error) {
	err = until(ctx, func() bool {
		var err error
		orderID, err = p.Orders.Place(ticketID, buyer)
		return err == nil
	})
	return orderID, err
}

// pay pays once the order can be paid for, unless it is cancelled meanwhile.
func (p *Platform) pay(ctx context.Context, orderID string) error {
	return until(ctx, func() bool {
		err := p.Payments.Pay(orderID)
		return err == nil || errors.Is(err, ErrCancelled)
	})
}

// outcome waits for the end of an order.
func (p *Platform) outcome(ctx context.Context, orderID string) (status events.OrderStatus, err error) {
	err = until(ctx, func() bool {
		status = p.Orders.Status(orderID)
		return status != events.OrderStatusCreated
	})
	return status, err
}

// until reloads until it is done.
func until(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(reload):
		}
	}
	return nil
}
