// Package publisher sends typed events. A [Publisher] is made once, for one type
// of event, and used from everywhere:
//
//	p, err := publisher.New[events.TicketCreated](c)
//	...
//	err = p.Publish(ctx, events.TicketCreated{ID: "t1", Title: "concert", Price: 20, UserID: "u1"})
//
// When Publish returns nil the server has stored the event. Otherwise its error
// is an [*Error] that says which of two things is true: [ErrNotStored], it is
// safe to publish again, or [ErrOutcomeUnknown], the event may be stored, and
// publishing it again may double it.
//
// For many events, [Publisher.PublishAll] and [Publisher.PublishAsync] keep a
// window of them in flight instead of waiting for each.
//
// A [Raw] publishes payloads that are encoded already, to any subject, with headers and a
// message ID: for relays and tools. [Observe] tells of each publish and its outcome.
package publisher
