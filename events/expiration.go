package events

import "github.com/sgtickets/common/subjects"

// ExpirationComplete says that the time to pay for an order is over.
type ExpirationComplete struct {
	OrderID string `json:"orderId"`
}

// Subject returns [subjects.ExpirationComplete].
func (ExpirationComplete) Subject() subjects.Subject { return subjects.ExpirationComplete }

// Validate returns an error that names each field that may not be published.
func (e ExpirationComplete) Validate() error { return notEmpty("orderId", e.OrderID) }
