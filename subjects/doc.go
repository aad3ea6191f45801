// Package subjects is the enum of event names: the one place where the name
// of a channel is written down, so that a misspelt one does not compile.
//
// A [Subject] is the name of a NATS Streaming channel and of a JetStream
// subject alike. The constants of this package are the ticketing platform's
// own. A team with events of its own declares constants of the same type in
// its own package:
//
//	const SeatReserved subjects.Subject = "seat:reserved"
//
// Publishers and listeners take the subject from the event's type and check it
// with [Valid] when they are made. Everything in this package is safe for
// concurrent use.
package subjects
