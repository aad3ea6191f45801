package events

import "github.com/sgtickets/common/subjects"

// Event is what a publisher publishes and a listener receives. It is
// implemented on value types, and by the zero value too: Subject returns the
// same for every value of a type ([DeadLetter] alone makes its own).
type Event interface {
	Subject() subjects.Subject
}

// Validator is what an event implements to be checked before it is published,
// and before it is handled by a listener that was told to validate. The error
// names each field that is wrong.
type Validator interface {
	Validate() error
}

// Catalogue returns a zero value of every event of the ticketing platform, in
// the order of [subjects.All]. The slice is the caller's.
func Catalogue() []Event {
	return []Event{
		TicketCreated{},
		TicketUpdated{},
		OrderCreated{},
		OrderCancelled{},
		ExpirationComplete{},
		PaymentCreated{},
	}
}
