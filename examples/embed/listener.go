package main

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// queueGroup is the name of this service, which all its listeners share.
const queueGroup = "seating-example"

// OrderListener assigns a seat to each order. Its handler is a method, and so has
// what the service needs at hand. Listen is that of the embedded listener.
type OrderListener struct {
	*listener.Listener[events.OrderCreated]

	seats *SeatPublisher
}

// NewOrderListener returns a listener that assigns seats through seats.
func NewOrderListener(c *client.Client, seats *SeatPublisher) (*OrderListener, error) {
	l := &OrderListener{seats: seats}
	var err error
	l.Listener, err = listener.New(c, queueGroup, l.handle, listener.DrainTimeout(drain))
	return l, err
}

func (l *OrderListener) handle(ctx context.Context, order events.OrderCreated, _ listener.Delivery) error {
	return l.seats.Assign(ctx, order.ID) // after an error the event comes again
}

// UsherListener shows people to their seats.
type UsherListener struct {
	*listener.Listener[SeatAssigned]

	usher string
}

// NewUsherListener returns a listener for the usher of that name.
func NewUsherListener(c *client.Client, usher string) (*UsherListener, error) {
	l := &UsherListener{usher: usher}
	var err error
	l.Listener, err = listener.New(c, queueGroup, l.handle, listener.DrainTimeout(drain))
	return l, err
}

func (l *UsherListener) handle(_ context.Context, e SeatAssigned, _ listener.Delivery) error {
	fmt.Printf("%s shows order %s to seat %s\n", l.usher, e.OrderID, e.Seat)
	return nil
}
