// Package deadletter puts events back that a queue group could not handle.
//
//	result, err := deadletter.Redrive(ctx, c, "payments", subjects.OrderCreated,
//		deadletter.Where(func(d events.DeadLetter) bool { return d.Reason == events.DeadLetterExhausted }))
//
// A dead letter is events.DeadLetter, listeners write it, and
// listener.NewDeadLetters receives it, to tell somebody. When the cause is mended,
// Redrive publishes the event on its own subject again, where the group gets it
// like any other.
//
// So does every other group of that subject, those included that handled the event
// long ago: a handler has to do no harm when an event comes twice, as ever. Where
// the broker has headers, the event has one more, [RedrivenFor], that names the
// group that it is meant for.
package deadletter
