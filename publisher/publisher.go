package publisher

import (
	"context"
	"fmt"
	"github.com/sgtickets/common/internal/access"
	"iter"
	"slices"
	"sync"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/eventtype"
)

// Publisher publishes events of type T. It is safe for concurrent use, needs no
// closing, and can be embedded in a service's own type.
type Publisher[T events.Event] struct {
	core   *core
	values sync.Pool // of *T: the codec takes a pointer, which must not cost an allocation
}

// New returns a publisher of events of type T, which must be a value type, not a
// pointer or an interface, whose zero value knows its subject. An error says
// what is wrong with T, its subject or an option; nothing is sent.
func New[T events.Event](c *client.Client, opts ...Option) (*Publisher[T], error) {
	subject, err := eventtype.Subject[T]()
	if err != nil {
		return nil, fmt.Errorf("new publisher: %w", err)
	}
	if c == nil {
		return nil, fmt.Errorf("new publisher of %s: %w client: nil", subject, client.ErrInvalid)
	}
	o, err := newOptions(slices.Concat(defaults(&access.Session(c).Defaults), opts))
	if err != nil {
		return nil, fmt.Errorf("new publisher of %s: %w", subject, err)
	}
	if err := eventtype.Encodes[T](o.codec); err != nil {
		return nil, fmt.Errorf("new publisher of %s: %w", subject, err)
	}
	o.codec = codec.WithLogger(o.codec, access.Session(c).Log)
	p := &Publisher[T]{
		core:   newCore(c, subject, o),
		values: sync.Pool{New: func() any { return new(T) }},
	}
	if err := p.through(o.middleware); err != nil {
		return nil, err
	}
	return p, nil
}

// Publish returns nil when the server has stored the event. An event that is not
// valid, or too large, or a client that is closed, is refused before anything is
// sent. It returns when ctx is done at the latest, or, where ctx has no deadline,
// after [Timeout]. Any error is an [*Error].
func (p *Publisher[T]) Publish(ctx context.Context, event T) error {
	if err := p.made(); err != nil {
		return err
	}
	if p.core.invoke != nil {
		return p.core.publishThrough(ctx, event)
	}
	v := p.lend(event)
	defer p.giveBack(v)
	return p.core.publish(ctx, v, nil)
}

// PublishAsync sends the event and returns without waiting for the server; the
// [Pending] tells what became of it, [Timeout] later at the latest. ctx bounds
// the wait for a place in the client's window only. An error, always an [*Error]
// that matches [ErrNotStored], means that nothing was sent.
func (p *Publisher[T]) PublishAsync(ctx context.Context, event T) (*Pending, error) {
	if err := p.made(); err != nil {
		return nil, err
	}
	if p.core.invoke != nil {
		return p.core.publishAsyncThrough(ctx, event)
	}
	pending := &Pending{core: p.core}
	if err := p.send(ctx, event, pending); err != nil {
		return nil, err
	}
	return pending, nil
}

func (p *Publisher[T]) send(ctx context.Context, event T, pending *Pending) error {
	v := p.lend(event)
	defer p.giveBack(v)
	return p.core.send(ctx, v, pending, nil)
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
	if err := p.made(); err != nil {
		return 0, err
	}
	if events == nil {
		return 0, p.core.notStored(fmt.Errorf("%w iterator of events: nil", client.ErrInvalid))
	}
	flight := flight{core: p.core}
	for event := range events {
		pending, err := p.publishUnseen(ctx, event)
		if err != nil {
			flight.refused = err
			break
		}
		if !flight.add(pending) {
			break
		}
	}
	return flight.land(ctx)
}

// publishUnseen is PublishAsync for a Pending that is given back to the core.
func (p *Publisher[T]) publishUnseen(ctx context.Context, event T) (*Pending, error) {
	if p.core.invoke != nil {
		return p.core.publishAsyncThrough(ctx, event)
	}
	pending := p.core.lend()
	if err := p.send(ctx, event, pending); err != nil {
		p.core.giveBack(pending)
		return nil, err
	}
	return pending, nil
}

// made returns an error for a publisher that New did not make: a nil one, as a
// service's own type that embeds one may hold.
func (p *Publisher[T]) made() error {
	if p != nil && p.core != nil {
		return nil
	}
	subject, _ := eventtype.Subject[T]()
	return &Error{subject, fmt.Errorf("%w: %w publisher: nil; make one with New", ErrNotStored, client.ErrInvalid)}
}

// lend puts the event where the codec can take its address.
func (p *Publisher[T]) lend(event T) *T {
	v, _ := p.values.Get().(*T)
	*v = event
	return v
}

// giveBack forgets the event, so that the pool keeps nothing of it alive.
func (p *Publisher[T]) giveBack(v *T) {
	var zero T
	*v = zero
	p.values.Put(v)
}
