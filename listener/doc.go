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
// A handler that returns nil acknowledges its event. After an error, a panic or
// [HandlerTimeout] the event is tried again, each time later than before ([Backoff]);
// the others go on meanwhile. After [MaxAttempts], at once when the handler returns
// [Reject], and when the payload can't be decoded, the event is stored as a dead
// letter, and only then acknowledged. [RetryAfter] says when to try again, [Defer] that
// it is too early, and [Classify] tells the kinds of errors apart for all handlers.
//
// Within one listener an event that was handled is not handled again, though the
// server may deliver it many times: the last 16,384, or twice [MaxInFlight] if that
// is more, are remembered. What comes again after as many others runs again. Across
// listeners and processes events are delivered at least once.
//
// What goes wrong for all events of a listener makes its client degraded, and shows in
// client.Client.Status: handlers that do not return ([StallTimeout]), payloads that can't be
// decoded ([StopAfterUndecodable]), dead letters that can't be stored, events that are stuck.
// client.Client.Watch tells of each dead letter.
//
// [Observe] tells what becomes of each delivery, [Use] wraps handlers in middleware, and
// [NewRaw] makes a listener for tools, whose events are bytes.
//
// Listen ends when its context is done: it takes no more events, lets the running
// handlers finish, acknowledges, and leaves the group. It never deletes the
// durable; [Listener.DeleteDurable] does.
package listener
