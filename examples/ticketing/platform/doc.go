// Package platform is a ticketing platform in small: four services that know
// one another only by their events, and the people who use them. Command
// ticketing tells the story of one ticket with it, the demo that of many.
//
//	event                published by   handled by
//	ticket:created       tickets        orders
//	ticket:updated       tickets        orders
//	order:created        orders         tickets, expiration, payments
//	order:cancelled      orders         tickets, payments
//	expiration:complete  expiration     orders
//	payment:created      payments       orders
//
// One file is one service. Each keeps its state in a struct, as it would in a
// database, and any number of members share it: they form a queue group, so that
// each event is handled by one of them.
//
// Three rules make the services sound though an event may come twice, late or
// before an older one:
//
//   - The events of a ticket, and of an order, are handled in the order of their
//     versions, each once, whatever subjects they come on ([listener.InVersionOrder]).
//   - What a handler has done it recognises, and does not do again: it may have
//     ended before that was written down.
//   - A change of state and the event that tells of it are written down together
//     (outbox.go), and the event is published, again if need be, until the server
//     has stored it.
//
// The queue groups have names of their own, so that running this beside real
// services takes no events away from them; but they would see its events. Give
// it a server of its own.
package platform
