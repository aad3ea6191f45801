// Package eventtest lets a service test its publishers and listeners without a server.
// [New] gives the test a client that is connected to a broker within the process. The
// service's publishers and listeners work with that client as in production:
//
//	bus := eventtest.New(t)
//	orders, err := NewOrders(bus.Client())
//	...
//	orders.Place(ctx, "t1")
//	eventtest.RequirePublished(t, bus, func(e events.OrderCreated) bool { return e.Ticket.ID == "t1" })
//
// [Deliver] delivers one event to a listener and returns what became of it:
//
//	outcome := eventtest.Deliver(t, bus, orders.Tickets, events.TicketCreated{ID: "t1"})
//	if outcome.Kind != eventtest.Acknowledged {
//		t.Fatal(outcome)
//	}
//
// [Listen] makes listeners listen for the length of the test, as client.Run does for the
// life of a service, so that events go from publisher to listener by themselves.
// [RequireDeadLettered] then asserts which events were given up, and why:
//
//	eventtest.Listen(t, orders.Tickets, orders.Expirations)
//	...
//	dead := eventtest.RequireDeadLettered[events.TicketCreated](t, bus, nil)
//	if dead.Reason != events.DeadLetterRejected {
//		t.Fatal(dead.Reason, dead.Error)
//	}
//
// A broker may deliver an event twice. [RequireIdempotent] does so, and compares the
// service's state after the first delivery with its state after the second.
//
// In a testing/synctest bubble, ack waits and all other waits pass in no time. Make the Bus
// in the same bubble.
package eventtest
