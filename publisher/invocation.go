package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/transport"
)

// What a middleware can do wrong.
var (
	errNotPassedOn = fmt.Errorf("%w middleware (option Use): it neither passed the event on nor returned an error", client.ErrInvalid)
	errTwice       = fmt.Errorf("%w middleware (option Use): it passed the event on a second time, or after it had returned", client.ErrInvalid)
	errForeign     = fmt.Errorf("%w middleware (option Use): it passed another Publishing on than the one that it was given", client.ErrInvalid)
)

// invocation is one publish that goes through the middleware.
type invocation struct {
	core  *core
	event events.Event // as the caller gave it, for the log
	async bool

	mu        sync.Mutex
	passed    bool // the middleware has passed the event on, or is not allowed to any more
	header    transport.Header
	invalid   error // why a header can't be sent
	pending   *Pending
	sent      error // once passed: why the event is not sent, or without async the outcome
	decided   bool
	outcome   error
	callbacks []func(error)
}

// publishThrough publishes through the middleware, and waits for the outcome.
func (c *core) publishThrough(ctx context.Context, event events.Event) error {
	i := &invocation{core: c, event: event}
	err := i.run(ctx, event)
	i.Done(err)
	return err
}

// publishAsyncThrough publishes through the middleware without waiting for the outcome.
func (c *core) publishAsyncThrough(ctx context.Context, event events.Event) (*Pending, error) {
	i := &invocation{core: c, event: event, async: true}
	err := i.run(ctx, event)
	if i.pending != nil {
		return i.pending, nil
	}
	i.Done(err)
	return nil, err
}

// run calls the middleware. It returns why the event is not sent, or without async the
// outcome.
func (i *invocation) run(ctx context.Context, event events.Event) error {
	refused := i.invoke(ctx, event)
	i.mu.Lock()
	passed, sent := i.passed, i.sent
	i.passed = true
	i.mu.Unlock()
	switch {
	case passed:
		return sent
	case refused == nil:
		refused = errNotPassedOn
	case publishing.SaysOutcome(refused): // of another publish, of which it may be true
		refused = errors.New(refused.Error())
	}
	return i.core.sender.Refuse(transport.Message{Subject: string(i.core.subject)}, refused)
}

// invoke calls the middleware, and makes its panic an error.
func (i *invocation) invoke(ctx context.Context, event events.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			i.panicked(p)
			err = fmt.Errorf("middleware panicked: %v", p)
		}
	}()
	return i.core.invoke(ctx, event, Publishing{Subject: i.core.subject, invocation: i})
}

// send publishes the event that the middleware passed on. i is nil where the middleware made
// a Publishing of its own.
func (i *invocation) send(ctx context.Context, event any, s *scratch) error {
	if i == nil {
		return errForeign
	}
	header, err := i.pass()
	if err != nil {
		return err
	}
	var pending *Pending
	if i.async {
		p := &Pending{publish: publishing.Pending{OnDecided: i}}
		if err = i.core.publishAsync(ctx, event, s, header, p); err == nil {
			pending = p
		}
	} else {
		err = i.core.publish(ctx, event, s, header)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pending, i.sent = pending, err
	return err
}

// pass lets the event through once, and returns the headers that it was given.
func (i *invocation) pass() (transport.Header, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.passed {
		return nil, errTwice
	}
	if i.invalid != nil {
		return nil, i.invalid
	}
	i.passed = true
	return i.header, nil
}

func (i *invocation) setHeader(name, value string) {
	if !i.core.meta.headers {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := mayAdd(name, value); err != nil {
		i.invalid = err
		return
	}
	if i.header == nil {
		i.header = make(transport.Header, 2)
	}
	i.header[name] = []string{value}
}

func (i *invocation) onOutcome(callback func(error)) {
	i.mu.Lock()
	decided, err := i.decided, i.outcome
	if !decided {
		i.callbacks = append(i.callbacks, callback)
	}
	i.mu.Unlock()
	if decided {
		i.call(callback, err)
	}
}

// Done implements transport.Receipt: it calls the callbacks with the outcome that the
// publisher's caller gets.
func (i *invocation) Done(err error) {
	i.mu.Lock()
	i.decided, i.outcome = true, err
	callbacks := i.callbacks
	i.callbacks = nil
	i.mu.Unlock()
	for _, callback := range slices.Backward(callbacks) {
		i.call(callback, err)
	}
}

// call calls a callback. Its panic is logged.
func (i *invocation) call(callback func(error), err error) {
	defer func() {
		if p := recover(); p != nil {
			i.panicked(p)
		}
	}()
	callback(err)
}

func (i *invocation) panicked(p any) {
	about := []any{slog.String("subject", string(i.core.subject))}
	if id := entityOf(i.event); id != "" {
		about = append(about, slog.String("entity", id))
	}
	i.core.log.Error("publisher's middleware panicked", append(about, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
}

// entityOf returns the entity of an event for the log, and "" if it has none, or can't tell.
func entityOf(event events.Event) (id string) {
	defer func() { _ = recover() }()        // the event's own method panicked: the log goes without
	p := reflect.New(reflect.TypeOf(event)) // it has the methods of the pointer, too
	p.Elem().Set(reflect.ValueOf(event))
	if v, ok := reflect.TypeAssert[events.Versioned](p); ok {
		id = v.EntityID()
	}
	return id
}
