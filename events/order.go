package events

import (
	"errors"
	"fmt"
	"time"

	"github.com/sgtickets/common/subjects"
)

// OrderStatus is how far an order has come.
type OrderStatus string

// The states of an order.
const (
	OrderStatusCreated         OrderStatus = "created"          // made; the ticket is not reserved yet
	OrderStatusCancelled       OrderStatus = "cancelled"        // the ticket was taken, or the user or the clock ended it
	OrderStatusAwaitingPayment OrderStatus = "awaiting:payment" // the ticket is reserved
	OrderStatusComplete        OrderStatus = "complete"         // paid for
)

// Valid tells whether s is one of the four states.
func (s OrderStatus) Valid() bool {
	switch s {
	case OrderStatusCreated, OrderStatusCancelled, OrderStatusAwaitingPayment, OrderStatusComplete:
		return true
	default:
		return false
	}
}

// OrderCreated says that a user wants to buy a ticket and has it reserved until
// ExpiresAt.
type OrderCreated struct {
	ID        string        `json:"id"`
	Version   int64         `json:"version"` // starts at 0, one more with each change of the order
	Status    OrderStatus   `json:"status"`
	UserID    string        `json:"userId"`    // who buys
	ExpiresAt time.Time     `json:"expiresAt"` // travels in UTC, cut to milliseconds
	Ticket    OrderedTicket `json:"ticket"`
}

// OrderedTicket is what an order says of its ticket.
type OrderedTicket struct {
	ID    string  `json:"id"`
	Price float64 `json:"price"` // at the time of the order
}

// Subject returns [subjects.OrderCreated].
func (OrderCreated) Subject() subjects.Subject { return subjects.OrderCreated }

// EntityID returns the order's ID.
func (e OrderCreated) EntityID() string { return e.ID }

// EntityVersion returns the order's version.
func (e OrderCreated) EntityVersion() int64 { return e.Version }

// BeginsEntity returns true: no event of the order comes before it.
func (OrderCreated) BeginsEntity() bool { return true }

// Validate returns an error that names each field that may not be published.
func (e OrderCreated) Validate() error {
	return errors.Join(
		notEmpty("id", e.ID),
		safeVersion(e.Version),
		knownStatus(e.Status),
		notEmpty("userId", e.UserID),
		set("expiresAt", e.ExpiresAt),
		notEmpty("ticket.id", e.Ticket.ID),
		payable("ticket.price", e.Ticket.Price),
	)
}

func knownStatus(s OrderStatus) error {
	if s.Valid() {
		return nil
	}
	return fmt.Errorf("status: %q is none of %q, %q, %q, %q", string(s), OrderStatusCreated,
		OrderStatusCancelled, OrderStatusAwaitingPayment, OrderStatusComplete)
}

// OrderCancelled says that an order is off and its ticket free again.
type OrderCancelled struct {
	ID      string          `json:"id"`
	Version int64           `json:"version"` // of the order after the change
	Ticket  CancelledTicket `json:"ticket"`
}

// CancelledTicket names the ticket that a cancelled order had reserved.
type CancelledTicket struct {
	ID string `json:"id"`
}

// Subject returns [subjects.OrderCancelled].
func (OrderCancelled) Subject() subjects.Subject { return subjects.OrderCancelled }

// EntityID returns the order's ID.
func (e OrderCancelled) EntityID() string { return e.ID }

// EntityVersion returns the order's version.
func (e OrderCancelled) EntityVersion() int64 { return e.Version }

// Validate returns an error that names each field that may not be published.
func (e OrderCancelled) Validate() error {
	return errors.Join(
		notEmpty("id", e.ID),
		safeVersion(e.Version),
		notEmpty("ticket.id", e.Ticket.ID),
	)
}
