package main

import (
	"context"
	"hash/fnv"
	"strconv"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/publisher"
)

// SeatPublisher is a publisher that knows the hall. Publish and its like are
// those of the embedded one.
type SeatPublisher struct {
	*publisher.Publisher[SeatAssigned]

	seats uint32 // in the hall
}

// NewSeatPublisher returns the publisher of a hall with that many seats.
func NewSeatPublisher(c *client.Client, seats uint32) (*SeatPublisher, error) {
	p, err := publisher.New[SeatAssigned](c)
	if err != nil {
		return nil, err
	}
	return &SeatPublisher{Publisher: p, seats: seats}, nil
}

// Assign gives the order a seat and publishes which. The same order gets the
// same seat each time, so that it can be called again after an error.
func (p *SeatPublisher) Assign(ctx context.Context, orderID string) error {
	h := fnv.New32()
	_, _ = h.Write([]byte(orderID))
	return p.Publish(ctx, SeatAssigned{OrderID: orderID, Seat: strconv.FormatUint(uint64(1+h.Sum32()%p.seats), 10)})
}
