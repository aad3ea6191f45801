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

// Versioned is what an event implements that tells of a change of an entity, so that
// a listener can apply those of one entity in version order, each once
// (listener.InVersionOrder). Each change of the entity makes its version one more,
// and there is one event for each version.
type Versioned interface {
	EntityID() string     // not empty; the same in all events of the entity
	EntityVersion() int64 // of the entity after the change; not negative
}

// Beginner is what a [Versioned] event implements that may be the first of its
// entity: where BeginsEntity returns true, and no event of the entity was applied
// yet, it is applied whatever its version.
type Beginner interface {
	BeginsEntity() bool
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
