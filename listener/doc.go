// Package listener receives typed events. A plain function is a handler:
//
//	l, err := listener.New(c, "orders-service",
//		func(ctx context.Context, e events.TicketCreated, d listener.Delivery) error {
//			return tickets.Insert(ctx, e)
//		})
//	...
//	err = l.Listen(ctx)
//
// The listeners of one queue group share the events of a subject: each goes to
// one of them. The group is durable: what arrives while no member listens is
// kept, and delivered when one listens again.
//
// A handler that returns nil acknowledges its event. After an error or a panic
// the event stays unacknowledged, and the server delivers it again, to any member
// of the group, once the ack wait has passed. The same goes for a payload that
// can't be decoded.
//
// Listen ends when its context is done: it takes no more events, lets the running
// handlers finish, acknowledges, and leaves the group. It never deletes the
// durable; [Listener.DeleteDurable] does.
package listener
