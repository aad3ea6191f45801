package events

import (
	"errors"

	"github.com/sgtickets/common/subjects"
)

// TicketCreated says that a ticket was put up for sale.
type TicketCreated struct {
	ID      string  `json:"id"`
	Version int64   `json:"version"` // starts at 0, one more with each change of the ticket
	Title   string  `json:"title"`
	Price   float64 `json:"price"`
	UserID  string  `json:"userId"` // who sells it
}

// Subject returns [subjects.TicketCreated].
func (TicketCreated) Subject() subjects.Subject { return subjects.TicketCreated }

// EntityID returns the ticket's ID.
func (e TicketCreated) EntityID() string { return e.ID }

// EntityVersion returns the ticket's version.
func (e TicketCreated) EntityVersion() int64 { return e.Version }

// BeginsEntity returns true: no event of the ticket comes before it.
func (TicketCreated) BeginsEntity() bool { return true }

// Validate returns an error that names each field that may not be published.
func (e TicketCreated) Validate() error {
	return errors.Join(
		notEmpty("id", e.ID),
		safeVersion(e.Version),
		payable("price", e.Price),
		notEmpty("userId", e.UserID),
	)
}

// TicketUpdated says that a ticket's title, price or reservation changed.
type TicketUpdated struct {
	ID      string  `json:"id"`
	Version int64   `json:"version"` // of the ticket after the change
	Title   string  `json:"title"`
	Price   float64 `json:"price"`
	UserID  string  `json:"userId"`            // who sells it
	OrderID string  `json:"orderId,omitempty"` // the order that reserves it; empty when it is free
}

// Subject returns [subjects.TicketUpdated].
func (TicketUpdated) Subject() subjects.Subject { return subjects.TicketUpdated }

// EntityID returns the ticket's ID.
func (e TicketUpdated) EntityID() string { return e.ID }

// EntityVersion returns the ticket's version.
func (e TicketUpdated) EntityVersion() int64 { return e.Version }

// Validate returns an error that names each field that may not be published.
func (e TicketUpdated) Validate() error {
	return errors.Join(
		notEmpty("id", e.ID),
		safeVersion(e.Version),
		payable("price", e.Price),
		notEmpty("userId", e.UserID),
	)
}
