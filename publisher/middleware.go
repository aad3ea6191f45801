package publisher

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

// Invocation is one publish without its type: event is a value of the publisher's
// type of events, such as events.TicketCreated. It returns as the publish does: for
// Publish with the outcome, for PublishAsync and each event of PublishAll once the
// event is on its way. An error means that it is not.
type Invocation func(ctx context.Context, event events.Event, o Publishing) error

// Middleware wraps each publish, whatever its type and whether it is waited for:
// for logs, traces, metrics. It returns an Invocation that calls next to go on, at
// most once and before it returns, with the event or another one of its type. An
// Invocation that does not call next refuses the publish, which ends with [ErrNotStored]
// and the error that the Invocation returns. [Publishing.OnOutcome] tells what became of the
// event. [New] calls the Middleware once. The Invocation is called once for each publish, by
// as many goroutines as publish.
//
// What the server says stands: no middleware can make a publish that failed succeed,
// or the other way round. One that panics has refused the event, unless it has
// passed it on; the panic is logged.
//
// What concerns one type of event needs no middleware: a function around Publish does.
type Middleware func(next Invocation) Invocation

// Use wraps the publishes in middleware. The first is the outermost: it is called
// first and returns last. Given several times, the later is within the earlier;
// that of [Defaults] is around all of it.
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
		o.typed = append(o.typed, "Use")
		return nil
	}
}

// Defaults is an option of client.Build: it gives the options to each publisher of
// the client, before the publisher's own. Given several times, it adds to what was given.
// A [Raw] publisher passes over those that need a type of event.
//
//	c, err := client.Build(ctx, cluster, id, url, publisher.Defaults(publisher.Use(logged)))
func Defaults(opts ...Option) client.Option {
	option, _ := access.Defaults(func(d *session.Defaults) error {
		if len(opts) == 0 {
			return fmt.Errorf("%w option publisher.Defaults: it holds no option", transport.ErrInvalid)
		}
		if _, err := newOptions(opts); err != nil {
			return fmt.Errorf("option publisher.Defaults: %w", err)
		}
		d.Publishers = slices.Concat(defaults(d), opts)
		return nil
	}).(client.Option)
	return option
}

// defaults returns the options that all publishers of a client have.
func defaults(d *session.Defaults) []Option {
	opts, _ := d.Publishers.([]Option)
	return opts
}

// through wraps the publishes in the middleware.
func (p *Publisher[T]) through(middleware []Middleware) error {
	if len(middleware) == 0 {
		return nil
	}
	invoke := Invocation(func(ctx context.Context, event events.Event, o Publishing) error {
		v, ok := event.(T)
		if !ok {
			return fmt.Errorf("%w middleware (option Use): it passed %T on, and the publisher's events are %T", client.ErrInvalid, event, v)
		}
		d := p.lend(v)
		defer p.giveBack(d)
		return o.invocation.send(ctx, &d.event, &d.scratch)
	})
	for i, wrap := range slices.Backward(middleware) {
		if invoke = wrap(invoke); invoke == nil {
			return fmt.Errorf("new publisher of %s: %w option Use: middleware %d of %d returns nil instead of an Invocation",
				p.core.subject, client.ErrInvalid, i+1, len(middleware))
		}
	}
	p.core.invoke = invoke
	return nil
}
