package listener

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// erase makes what the core can work with from what depends on T.
func erase[T events.Event](subject subjects.Subject, h Handler[T], o options, log *slog.Logger) (eventType, error) {
	if o.versions != nil {
		h = ordered(h, o.versions, log)
	}
	pool := sync.Pool{New: func() any { return new(T) }}
	release := func(event any) {
		v, _ := event.(*T)
		var zero T
		*v = zero
		pool.Put(v)
	}
	t := eventType{
		release: release,
		entity:  entityIn[T](subject, o),
		decode: func(d *transport.Delivery) (any, error) {
			data, err := payloadOf(d, subject)
			if err != nil {
				return nil, err
			}
			event := pool.Get()
			if err := decode(o, data, event); err != nil {
				release(event)
				return nil, err
			}
			return event, nil
		},
		handle: func(ctx context.Context, event any, d Delivery) error {
			v, _ := event.(*T)
			return h(ctx, *v, d)
		},
	}
	if len(o.middleware) > 0 {
		invoke, err := through(o.middleware, h)
		if err != nil {
			return t, err
		}
		t.handle = func(ctx context.Context, event any, d Delivery) error {
			v, _ := event.(*T)
			return invoke(ctx, *v, d)
		}
	}
	if o.versions != nil {
		t.handle = oneAtATime(o.versions, t.handle)
		if o.concurrency > 1 {
			t.key = entityOf
		}
	}
	for _, given := range o.keys {
		key, ok := given.(func(T) string)
		if !ok { // newOptions has passed it over, or refused it
			continue
		}
		t.key = func(event any) (k string, err error) {
			defer recovered("OrderingKey", &err)
			v, _ := event.(*T)
			return key(*v), nil
		}
	}
	return t, nil
}

// decode sets the event from a payload, and validates it if it is to. A panic of
// the event's own methods is an error like any other: the payload provoked it.
func decode(o options, data []byte, event any) (err error) {
	defer recovered("decoding", &err)
	if err := o.codec.Decode(data, event); err != nil {
		return fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if v, ok := event.(events.Validator); ok && o.validate {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidEvent, err)
		}
	}
	return nil
}

// recovered, deferred, makes an error of a panic.
func recovered(doing string, err *error) { //nolint:gocritic // it sets the result of the function that defers it
	if p := recover(); p != nil { //nolint:revive // this is the deferred function
		*err = fmt.Errorf("%w: %s panicked: %v", ErrUndecodable, doing, p)
	}
}
