package listener

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/eventtype"
	"github.com/sgtickets/common/subjects"
)

// Handler handles one event. What it returns decides what becomes of it: after
// nil it is acknowledged; after an error or a panic it is tried again, as [Backoff],
// [MaxAttempts], [RetryAfter], [Defer], [Reject] and [Classify] say, and at last stored as a dead letter.
//
// ctx carries the values of Listen's context, but does not end with it: it ends
// at [HandlerTimeout], and with the drain, so that a running handler may finish.
// Its end decides nothing: a handler that returns nil has handled the event.
// Handlers run in parallel only with [Concurrency].
type Handler[T events.Event] func(ctx context.Context, event T, d Delivery) error

// Listener receives the events of type T and hands them to its handler. It is
// safe for concurrent use, and can be embedded in a service's own type.
type Listener[T events.Event] struct {
	core *core
}

// New returns a listener, which receives nothing before [Listener.Listen].
//
// The listeners of a queue group share the events; the group's name is also that
// of the durable, unless told otherwise. With an empty queue group the listener
// gets every event by itself and is ephemeral, or durable with [DurableName]. An
// event that ends its process becomes a dead letter (events.DeadLetterCrashed)
// only where the server delivers it again: to a durable, or over JetStream to a
// queue group.
//
// T must be a value type, not a pointer or an interface, whose zero value knows
// its subject. An error, which matches client.ErrInvalid, says what is wrong with
// T, a name, the handler or an option.
func New[T events.Event](c *client.Client, queueGroup string, h Handler[T], opts ...Option) (*Listener[T], error) {
	subject, err := eventtype.Subject[T]()
	if err != nil {
		return nil, fmt.Errorf("new listener: %w", err)
	}
	return newOn(c, subject, queueGroup, h, opts)
}

// newOn makes the listener to a subject.
func newOn[T events.Event](c *client.Client, subject subjects.Subject, queueGroup string, h Handler[T], opts []Option) (*Listener[T], error) {
	core, err := newCore(c, subject, queueGroup, opts, kindOf[T]())
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, core.fail(fmt.Errorf("%w handler: nil", client.ErrInvalid))
	}
	if err := eventtype.Decodes[T](core.options.codec); err != nil {
		return nil, core.fail(err)
	}
	core.eventType, err = erase(core.subject, h, core.options, core.log)
	if err != nil {
		return nil, core.fail(err)
	}
	return &Listener[T]{core: core}, nil
}

// Listen subscribes and hands events to the handler until ctx is done, then drains: running
// handlers may finish, for at most [DrainTimeout]. If all return within that time, Listen
// returns nil. It returns nil after the client's Close, too. Durables are kept.
//
// It returns an [*Error] that matches [ErrListening] if the listener listens already,
// [ErrClosed] if the client is closed before it begins, [ErrConnectionLost] when the
// connection is over, [ErrTooManyUndecodable] with [StopAfterUndecodable], and
// [ErrUnfinished] when handlers were still running at the end of the drain, or events were not
// settled: it names their sequences. Another listener of the client that listens to the same
// subject in the same queue group with another type of events is an error that matches
// client.ErrInvalid. Other errors: the server refused the subscription; the stream stores no dead letters (use [NoDeadLetters]); the
// server did not confirm the end in time (the rest of the DrainTimeout, 2.5 s at most);
// DeleteDurable is running. While the link is down, Listen waits for it. Once it has
// returned, Listen may be called again.
func (l *Listener[T]) Listen(ctx context.Context) error {
	if err := l.made(); err != nil {
		return err
	}
	return l.core.fail(l.core.listen(ctx))
}

// Ready returns a channel that is closed once the server has taken the
// subscription. After Listen has returned it is another one, for the next Listen.
// When Listen fails it is never closed, so wait for either:
//
//	ready, ended := l.Ready(), make(chan error, 1)
//	go func() { ended <- l.Listen(ctx) }()
//	select {
//	case <-ready:
//	case err := <-ended:
//		return err
//	}
func (l *Listener[T]) Ready() <-chan struct{} {
	if l.made() != nil {
		return nil // never: Listen returns the error
	}
	return l.core.readySignal()
}

// DeleteDurable makes the server forget how far the durable has come; it is no
// error if there is none. The server keeps it while another member of the group
// is connected, without saying so: end those first. The listener must not be
// listening ([ErrListening]).
func (l *Listener[T]) DeleteDurable(ctx context.Context) error {
	if err := l.made(); err != nil {
		err.doing = deletingDurable
		return err
	}
	return l.core.deleteDurable(ctx)
}

// made returns an error for a listener that New did not make: a nil one, as a
// service's own type that embeds one may hold.
func (l *Listener[T]) made() *Error {
	if l != nil && l.core != nil {
		return nil
	}
	subject, _ := eventtype.Subject[T]()
	return &Error{Subject: subject, Err: fmt.Errorf("%w listener: nil; make one with New", client.ErrInvalid)}
}
