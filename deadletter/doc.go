// Package deadletter puts events that a queue group could not handle back on their subject.
//
//	result, err := deadletter.Redrive(ctx, c, "payments", subjects.OrderCreated,
//		deadletter.Where(func(d events.DeadLetter) bool { return d.Reason == events.DeadLetterExhausted }))
//
// A dead letter is an events.DeadLetter. Listeners write dead letters, and a listener made
// with listener.NewDeadLetters receives them, for instance to tell somebody. When the cause
// is mended, [Redrive] publishes the event on its own subject again, where the group gets
// it like any other.
//
// Every other group of that subject gets the event again, too, even if it handled the event
// long ago. So, as always, handlers must do no harm when an event comes twice. Where the
// broker has headers, the event gets one more, [RedrivenFor], that names the group for
// which it was put back.
package deadletter
