package platform

import "time"

// Platform is the four services.
type Platform struct {
	Tickets    *Tickets
	Orders     *Orders
	Expiration *Expiration
	Payments   *Payments
}

// New returns a platform where an order has to be paid for within the window.
func New(window time.Duration) *Platform {
	return &Platform{
		Tickets:    NewTickets(),
		Orders:     NewOrders(window),
		Expiration: NewExpiration(),
		Payments:   NewPayments(),
	}
}

// Services returns all four.
func (p *Platform) Services() []Service {
	return []Service{p.Tickets, p.Orders, p.Expiration, p.Payments}
}

// Unpublished returns how many events are in the outboxes: those that are due,
// and those of a later time, the ends of orders that have not expired yet.
func (p *Platform) Unpublished() (due, later int) {
	for _, box := range []interface{ content() (due, later int) }{
		&p.Tickets.created, &p.Tickets.updated, &p.Orders.created, &p.Orders.cancelled,
		&p.Expiration.complete, &p.Payments.created,
	} {
		d, l := box.content()
		due, later = due+d, later+l
	}
	return due, later
}
