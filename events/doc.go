// Package events holds the typed events of the ticketing platform: for each
// subject one struct, an exactly accurate definition of the data that travels
// on it, shared by every service.
//
// An event names its own subject, so a call site can't pair the wrong two:
//
//	p, err := publisher.New[events.TicketCreated](c)
//
// A team adds events of its own without a change to this module: a struct, a
// constant of type [subjects.Subject] and a Subject method.
//
//	type SeatReserved struct {
//		ID string `json:"id"`
//	}
//
//	func (SeatReserved) Subject() subjects.Subject { return "seat:reserved" }
//
// The fields' names and their order are those of the JSON objects that Node
// services write and read on the same channels.
package events
