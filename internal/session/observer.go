package session

import "time"

// Observer is implemented by the transport.Settler of a delivery whose sender
// wants to know more of it than a broker does: package eventtest's. Listeners
// look for it on each delivery; brokers have none.
type Observer interface {
	// Failed is told why the event was not handled, or why what was done with it
	// could not be said to the broker. It may be called from any goroutine.
	Failed(err error)
	// Retried is told that the event is tried again after the delay; over NATS
	// Streaming by the server's redelivery where that can't be held as long.
	Retried(delay time.Duration)
	// DeadLettered is told that the event's dead letter is stored, for that reason.
	DeadLettered(reason string)
	// Concluded is called once the handler has returned, or the event was given
	// up without it. With ManualAck the event may be settled after that.
	Concluded()
}
