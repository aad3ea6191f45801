package publisher

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/eventtype"
)

// Publisher publishes events of type T. It is safe for concurrent use, needs no
// closing, and can be embedded in a service's own type.
type Publisher[T events.Event] struct {
	core   *core
	drafts sync.Pool // of *draft[T]: the codec takes a pointer, which must not cost an allocation
}

// New returns a publisher of events of type T, which must be a value type, not a
// pointer or an interface, whose zero value knows its subject. An error says
// what is wrong with T, its subject or an option; nothing is sent.
func New[T events.Event](c *client.Client, opts ...Option) (*Publisher[T], error) {
	subject, err := eventtype.Subject[T]()
	if err != nil {
		return nil, fmt.Errorf("new publisher: %w", err)
	}
	if access.Session(c) == nil {
		return nil, fmt.Errorf("new publisher of %s: %w client: nil; make one with client.Build or client.FromEnv", subject, client.ErrInvalid)
	}
	o, err := newOptions(slices.Concat(defaults(&access.Session(c).Defaults), opts))
	if err == nil {
		err = fits[T](opts)
	}
	if err != nil {
		return nil, fmt.Errorf("new publisher of %s: %w", subject, err)
	}
	if err := eventtype.Encodes[T](o.codec); err != nil {
		return nil, fmt.Errorf("new publisher of %s: %w", subject, err)
	}
	o.codec = codec.WithLogger(o.codec, access.Session(c).Log)
	p := &Publisher[T]{
		core:   newCore(c, subject, o),
		drafts: sync.Pool{New: func() any { return new(draft[T]) }},
	}
	for _, given := range o.messageIDs {
		if id, fits := given.(func(T) string); fits {
			p.core.messageID = func(event any) string {
				v, _ := event.(*T)
				return id(*v)
			}
		}
	}
	if err := p.through(o.middleware); err != nil {
		return nil, err
	}
	return p, nil
}

// fits returns an error if one of the options is of another type of events.
func fits[T events.Event](opts []Option) error {
	own, err := newOptions(opts)
	for _, id := range own.messageIDs {
		if _, fits := id.(func(T) string); !fits {
			return fmt.Errorf("%w option MessageID: it is a %T, and the publisher's events are %v", client.ErrInvalid, id, reflect.TypeFor[T]())
		}
	}
	return err
}

// Publish returns nil when the server has stored the event. An event that is not
// valid, or too large, or a client that is closed, is refused before anything is
// sent. It returns when ctx is done at the latest, or, where ctx has no deadline,
// after [Timeout]. Any error is an [*Error]. Over JetStream the client adds the event's subject
// to the stream before the first publish; see client.JetStream.
func (p *Publisher[T]) Publish(ctx context.Context, event T) error {
	if err := p.made(ctx); err != nil {
		return err
	}
	if p.core.invoke != nil {
		return p.core.publishThrough(ctx, event)
	}
	d := p.lend(event)
	defer p.giveBack(d)
	return p.core.publish(ctx, &d.event, &d.scratch, nil)
}

// PublishAsync sends the event and returns without waiting for the server. The [Pending]
// tells the outcome, at the latest when the [Timeout] has passed. ctx bounds the wait for the
// client's window only; and over JetStream, once for each subject, the wait until the stream
// takes it. An error, always an [*Error] that matches [ErrNotStored], means that nothing was
// sent.
func (p *Publisher[T]) PublishAsync(ctx context.Context, event T) (*Pending, error) {
	if err := p.made(ctx); err != nil {
		return nil, err
	}
	if p.core.invoke != nil {
		return p.core.publishAsyncThrough(ctx, event)
	}
	pending := &Pending{}
	if err := p.send(ctx, event, pending); err != nil {
		return nil, err
	}
	return pending, nil
}

func (p *Publisher[T]) send(ctx context.Context, event T, pending *Pending) error {
	d := p.lend(event)
	defer p.giveBack(d)
	return p.core.publishAsync(ctx, &d.event, &d.scratch, nil, pending)
}

// PublishAll publishes the events in their order, a window of them in flight at
// a time, and returns when the server has stored all of them. It stops at the
// first that fails; stored is then how many were stored before that one, and err
// is the [*Error] of that one. Those that were in flight behind it, at most the
// window, may be stored nevertheless. PublishAll waits until each is decided;
// when ctx is done it sends no further event and waits no longer. An iterator
// that blocks is the caller's to end: PublishAll can't leave it before it yields
// or returns.
func (p *Publisher[T]) PublishAll(ctx context.Context, events iter.Seq[T]) (stored int, err error) {
	if err := p.made(ctx); err != nil {
		return 0, err
	}
	if events == nil {
		return 0, p.core.notStored(fmt.Errorf("%w iterator of events: nil", client.ErrInvalid))
	}
	b := batch{core: p.core}
	for event := range events {
		pending, err := p.publishUnseen(ctx, event)
		if err != nil {
			b.refused = err
			break
		}
		if !b.add(pending) {
			break
		}
	}
	return b.wait(ctx)
}

// publishUnseen is PublishAsync with a Pending that the caller gives back to the core.
func (p *Publisher[T]) publishUnseen(ctx context.Context, event T) (*Pending, error) {
	if p.core.invoke != nil {
		return p.core.publishAsyncThrough(ctx, event)
	}
	pending := p.core.lendPending()
	if err := p.send(ctx, event, pending); err != nil {
		p.core.giveBackPending(pending)
		return nil, err
	}
	return pending, nil
}

// made returns an error for a nil context, and for a publisher that New did not make, such
// as a nil one in a service's own type that embeds *Publisher.
func (p *Publisher[T]) made(ctx context.Context) error {
	if p != nil && p.core != nil {
		if ctx == nil {
			return p.core.notStored(errNoContext)
		}
		return nil
	}
	subject, _ := eventtype.Subject[T]()
	return &Error{subject, fmt.Errorf("%w: %w publisher: nil; make one with New", ErrNotStored, client.ErrInvalid)}
}
