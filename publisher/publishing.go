package publisher

import "github.com/sgtickets/common/subjects"

// Publishing is what a [Middleware] learns of a publish beside its event, and what it
// can do to it. Its methods are safe for concurrent use; those of the zero value,
// which can be used in the unit test of a middleware, do nothing.
type Publishing struct {
	Subject subjects.Subject

	invocation *invocation
}

// SetHeader gives the event a header, or gives the header another value, where the
// broker has headers. NATS Streaming has none, and there SetHeader does nothing. The
// middleware calls it before it passes the event on. A name or value that can't be sent, or
// a name that is the library's own or the server's (Nats-), makes the publish end with
// [ErrNotStored].
func (p Publishing) SetHeader(name, value string) {
	if p.invocation != nil {
		p.invocation.setHeader(name, value)
	}
}

// OnOutcome has callback called, once, with what became of the publish: nil when the server
// has stored the event, else the [*Error] that the publisher's caller gets. Callbacks run in
// reverse order of registration, on the publishing goroutine or on the one that receives the
// server's answers, so that callback must not block. If the outcome is known already,
// OnOutcome calls it at once. A panic in it is logged.
func (p Publishing) OnOutcome(callback func(err error)) {
	if p.invocation != nil && callback != nil {
		p.invocation.onOutcome(callback)
	}
}
