// Package eventtest is what a service uses in its own tests in place of a broker.
// [New] gives the test a client on a broker within the process; what the service
// makes of it publishes and listens as in production:
//
//	bus := eventtest.New(t)
//	orders, err := NewOrders(bus.Client())
//	...
//	orders.Place(ctx, "t1")
//	eventtest.RequirePublished(t, bus, func(e events.OrderCreated) bool { return e.Ticket.ID == "t1" })
//
// [Deliver] hands one event to a listener and returns what became of it:
//
//	outcome := eventtest.Deliver(t, bus, orders.Tickets, events.TicketCreated{ID: "t1"})
//	if outcome.Kind != eventtest.Acknowledged {
//		t.Fatal(outcome)
//	}
//
// A broker may deliver an event twice. [RequireIdempotent] does, and compares what
// the service knows after the first time and after the second.
//
// Time is the test's: within a testing/synctest bubble, where the Bus must have
// been made too, ack waits and all other waits pass in no time.
package eventtest
