package subjects

// Subject is the name of the channel that an event travels on. The zero value
// is not a valid name.
type Subject string

// The subjects of the ticketing platform.
const (
	TicketCreated      Subject = "ticket:created"
	TicketUpdated      Subject = "ticket:updated"
	OrderCreated       Subject = "order:created"
	OrderCancelled     Subject = "order:cancelled"
	ExpirationComplete Subject = "expiration:complete"
	PaymentCreated     Subject = "payment:created"
)

// All returns the subjects of the ticketing platform, in the order in which
// this package declares them. The slice is the caller's.
func All() []Subject {
	return []Subject{
		TicketCreated, TicketUpdated,
		OrderCreated, OrderCancelled,
		ExpirationComplete,
		PaymentCreated,
	}
}

// String returns the name as it stands on the wire.
func (s Subject) String() string { return string(s) }
