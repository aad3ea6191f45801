package main

import (
	"errors"

	"github.com/sgtickets/common/subjects"
)

// SeatAssignedSubject stands beside the platform's own subjects: a constant of
// the same type, and no change to the library.
const SeatAssignedSubject subjects.Subject = "seat:assigned"

// SeatAssigned says which seat an order has got.
type SeatAssigned struct {
	OrderID string `json:"orderId"`
	Seat    string `json:"seat"`
}

// Subject makes SeatAssigned an event.
func (SeatAssigned) Subject() subjects.Subject { return SeatAssignedSubject }

// Validate is optional: with it, publishing refuses what is not valid.
func (e SeatAssigned) Validate() error {
	if e.OrderID == "" || e.Seat == "" {
		return errors.New("orderId and seat must not be empty")
	}
	return nil
}
