package jsonbench

import "time"

// The events as they are on the wire, fields in the order of their bytes.

// TicketCreated has a string, an integer and a number: the common shape.
type TicketCreated struct {
	ID      string  `json:"id"`
	Version int64   `json:"version"`
	Title   string  `json:"title"`
	Price   float64 `json:"price"`
	UserID  string  `json:"userId"`
}

// TicketUpdated has a field that may be left out.
type TicketUpdated struct {
	ID      string  `json:"id"`
	Version int64   `json:"version"`
	Title   string  `json:"title"`
	Price   float64 `json:"price"`
	UserID  string  `json:"userId"`
	OrderID string  `json:"orderId,omitempty"`
}

// Order is order:created over the type of its time, since not every contestant
// can write a time.Time as the wire wants it.
type Order[Time any] struct {
	ID        string      `json:"id"`
	Version   int64       `json:"version"`
	Status    OrderStatus `json:"status"`
	UserID    string      `json:"userId"`
	ExpiresAt Time        `json:"expiresAt"`
	Ticket    OrderTicket `json:"ticket"`
}

// OrderCreated is the event as the package events will have it.
type OrderCreated = Order[time.Time]

// OrderCreatedJS is the event for libraries that need a time type of their own.
type OrderCreatedJS = Order[JSTime]

// OrderStatus is a defined string type: an enum.
type OrderStatus string

// OrderTicket is the struct within order:created.
type OrderTicket struct {
	ID    string  `json:"id"`
	Price float64 `json:"price"`
}

// OrderCancelled has a struct of one field within.
type OrderCancelled struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
	Ticket  struct {
		ID string `json:"id"`
	} `json:"ticket"`
}

// ExpirationComplete is the smallest event.
type ExpirationComplete struct {
	OrderID string `json:"orderId"`
}

// PaymentCreated has strings alone.
type PaymentCreated struct {
	ID       string `json:"id"`
	OrderID  string `json:"orderId"`
	StripeID string `json:"stripeId"`
}
