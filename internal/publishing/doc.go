// Package publishing is the one way in which messages are published: typed events, raw
// messages, dead letters and the events that Redrive puts back. It knows no event types.
//
// A [Sender] takes a slot of the client's [Window], hands the message to the connection and
// waits for the outcome, or returns at once and lets a [Pending] tell it. It bounds both
// waits, and it tells the observers what was sent and what became of it.
package publishing
