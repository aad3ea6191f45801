package events

import (
	"errors"

	"github.com/sgtickets/common/subjects"
)

// PaymentCreated says that an order was paid for.
type PaymentCreated struct {
	ID       string `json:"id"`
	OrderID  string `json:"orderId"`
	StripeID string `json:"stripeId"` // the charge at the payment provider
}

// Subject returns [subjects.PaymentCreated].
func (PaymentCreated) Subject() subjects.Subject { return subjects.PaymentCreated }

// Validate returns an error that names each field that may not be published.
func (e PaymentCreated) Validate() error {
	return errors.Join(
		notEmpty("id", e.ID),
		notEmpty("orderId", e.OrderID),
		notEmpty("stripeId", e.StripeID),
	)
}
