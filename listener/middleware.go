package listener

import (
	"context"
	"fmt"
	"slices"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

// Invocation is one call of a handler without its type: event is a value of the listener's
// type of events, such as events.TicketCreated. Its result decides what becomes of the
// event, as a handler's result does.
type Invocation func(ctx context.Context, event events.Event, d Delivery) error

// Middleware wraps a listener's handler, whatever the type of its events: for logs,
// traces, metrics, or a transaction around each handler. It returns an Invocation that
// calls next to go on, with the event or another one of its type. An Invocation that does
// not call next decides by itself what becomes of the event. [New] calls the Middleware
// once; the Invocation is called once for each attempt, by as many goroutines at a time as
// [Concurrency] says. A panic in it is like one of the handler.
//
// Middleware sees what a handler would get: no payload that can't be decoded, and no event
// that is delivered again after it was handled. [Observe] tells of those. With [ManualAck]
// a nil error does not say whether the event is settled.
//
// One type of events needs no middleware: a handler is a function, and another function can
// wrap it.
type Middleware func(next Invocation) Invocation

// Use wraps the handler in middleware. The first is the outermost: it is called first and
// returns last. If Use is given several times, the later middleware is within the earlier.
// The middleware of [Defaults] is around all of it.
func Use(m ...Middleware) Option {
	return func(o *options) error {
		if len(m) == 0 {
			return fmt.Errorf("%w option Use: it holds no middleware", transport.ErrInvalid)
		}
		for i, w := range m {
			if w == nil {
				return fmt.Errorf("%w option Use: its middleware %d of %d is nil; leave it out", transport.ErrInvalid, i+1, len(m))
			}
		}
		o.middleware = append(o.middleware, m...)
		return nil
	}
}

// Defaults is an option of client.Build: each listener of the client gets these options
// before its own, unless it has [WithoutDefaults]. Given several times, Defaults adds to
// what was given.
//
// A listener passes over what it can't use, and says so in the log at debug level: a [Raw]
// listener the options that need a type of events; an [OrderingKey] of another type,
// [InVersionOrder] for events that have no versions, [Validate] for events that can't be
// validated; and what the listener's own options exclude, such as a default [Ephemeral] beside
// its own [DurableName], or InVersionOrder beside its own [ManualAck]. A default [Concurrency]
// is lowered to the listener's own [MaxInFlight], and a default MaxInFlight raised to its own
// Concurrency. Defaults that contradict one another are refused by [New], as a listener's own
// options are.
//
//	c, err := client.Build(ctx, cluster, id, url, listener.Defaults(listener.Use(logged)))
func Defaults(opts ...Option) client.Option {
	option, _ := access.Defaults(func(d *session.Defaults) error {
		if len(opts) == 0 {
			return fmt.Errorf("%w option listener.Defaults: it holds no option", transport.ErrInvalid)
		}
		var given options
		if err := apply(opts, &given); err != nil {
			return fmt.Errorf("option listener.Defaults: %w", err)
		}
		if given.noDefaults {
			return fmt.Errorf("%w options listener.Defaults and WithoutDefaults: a listener has the second to go without the first; give it to that listener", transport.ErrInvalid)
		}
		d.Listeners = slices.Concat(defaults(d), opts)
		return nil
	}).(client.Option)
	return option
}

// defaults returns the options that all listeners of a client have.
func defaults(d *session.Defaults) []Option {
	opts, _ := d.Listeners.([]Option)
	return opts
}

// through returns what calls the handler through the middleware.
func through[T events.Event](middleware []Middleware, h Handler[T]) (Invocation, error) {
	invoke := Invocation(func(ctx context.Context, event events.Event, d Delivery) error {
		v, ok := event.(T)
		if !ok {
			return fmt.Errorf("%w middleware (option Use): it passed %T on, and the listener's events are %T", client.ErrInvalid, event, v)
		}
		return h(ctx, v, d)
	})
	for i, wrap := range slices.Backward(middleware) {
		if invoke = wrap(invoke); invoke == nil {
			return nil, fmt.Errorf("%w option Use: middleware %d of %d returns nil instead of an Invocation", client.ErrInvalid, i+1, len(middleware))
		}
	}
	return invoke, nil
}
