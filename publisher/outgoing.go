package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Outgoing is what a [Middleware] learns of a publish beside its event, and what it
// can do to it. Its methods are safe for concurrent use; those of the zero value,
// which can be used in the unit test of a middleware, do nothing.
type Outgoing struct {
	Subject subjects.Subject

	call *call
}

// SetHeader gives the event a header, or gives the header another value, where the
// broker has headers; NATS Streaming has none, and there it does nothing. It is to
// be called before the event is passed on. A name or value that can't be sent, or a
// name that is the library's own or the server's (Nats-), makes the publish end with
// [ErrNotStored].
func (o Outgoing) SetHeader(name, value string) {
	if o.call != nil {
		o.call.setHeader(name, value)
	}
}

// OnOutcome calls told, once, with what became of the publish: nil when the server
// has stored the event, else the [*Error] that the publisher's caller gets. What is
// registered last is told first. told must not block: it is called by who
// publishes, or by who receives the server's answers; or at once, if the outcome is
// here already. A panic in it is logged.
func (o Outgoing) OnOutcome(told func(err error)) {
	if o.call != nil && told != nil {
		o.call.onOutcome(told)
	}
}

// What a middleware can do wrong.
var (
	errNotPassedOn = fmt.Errorf("%w middleware (option Use): it neither passed the event on nor returned an error", client.ErrInvalid)
	errTwice       = fmt.Errorf("%w middleware (option Use): it passed the event on a second time, or after it had returned", client.ErrInvalid)
	errForeign     = fmt.Errorf("%w middleware (option Use): it passed another Outgoing on than the one that it was given", client.ErrInvalid)
)

// call is a publish on its way through the middleware.
type call struct {
	core  *core
	async bool

	mu      sync.Mutex
	passed  bool // through the middleware, or never to be
	header  transport.Header
	invalid error // of a header
	pending *Pending
	sent    error // once passed: why it is not on its way, or without async the outcome
	decided bool
	outcome error
	told    []func(error)
}

// publishThrough publishes through the middleware.
func (c *core) publishThrough(ctx context.Context, event events.Event) error {
	call := &call{core: c}
	err := call.run(ctx, event)
	call.decide(err)
	return err
}

// publishAsyncThrough does so without waiting for the outcome.
func (c *core) publishAsyncThrough(ctx context.Context, event events.Event) (*Pending, error) {
	call := &call{core: c, async: true}
	err := call.run(ctx, event)
	if call.pending != nil {
		return call.pending, nil
	}
	call.decide(err)
	return nil, err
}

// run takes the event through the middleware and returns why it is not on its way,
// or without async the outcome.
func (c *call) run(ctx context.Context, event events.Event) error {
	refused := c.invoke(ctx, event)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.passed:
		return c.sent
	case refused == nil:
		refused = errNotPassedOn
	case saysOutcome(refused): // of another publish, of which it may be true
		refused = errors.New(refused.Error())
	}
	c.passed = true
	return c.core.notStored(refused)
}

func (c *call) invoke(ctx context.Context, event events.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.panicked(p)
			err = fmt.Errorf("middleware panicked: %v", p)
		}
	}()
	return c.core.invoke(ctx, event, Outgoing{Subject: c.core.subject, call: c})
}

// send publishes what came through the middleware. c is nil where the middleware
// made an Outgoing of its own.
func (c *call) send(ctx context.Context, event any) error {
	if c == nil {
		return errForeign
	}
	header, err := c.pass()
	if err != nil {
		return err
	}
	var pending *Pending
	if c.async {
		p := &Pending{core: c.core, call: c}
		if err = c.core.send(ctx, event, p, header); err == nil {
			pending = p
		}
	} else {
		err = c.core.publish(ctx, event, header)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.sent = pending, err
	return err
}

// pass lets the event through once, with the headers that it was given.
func (c *call) pass() (transport.Header, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.passed {
		return nil, errTwice
	}
	if c.invalid != nil {
		return nil, c.invalid
	}
	c.passed = true
	return c.header, nil
}

func (c *call) setHeader(name, value string) {
	if !c.core.meta.headers {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := mayAdd(name, value); err != nil {
		c.invalid = err
		return
	}
	if c.header == nil {
		c.header = make(transport.Header, 2)
	}
	c.header[name] = []string{value}
}

func (c *call) onOutcome(told func(error)) {
	c.mu.Lock()
	decided, err := c.decided, c.outcome
	if !decided {
		c.told = append(c.told, told)
	}
	c.mu.Unlock()
	if decided {
		c.tell(told, err)
	}
}

// decide tells the outcome.
func (c *call) decide(err error) {
	c.mu.Lock()
	c.decided, c.outcome = true, err
	all := c.told
	c.told = nil
	c.mu.Unlock()
	for _, told := range slices.Backward(all) {
		c.tell(told, err)
	}
}

func (c *call) tell(told func(error), err error) {
	defer func() {
		if p := recover(); p != nil {
			c.panicked(p)
		}
	}()
	told(err)
}

func (c *call) panicked(p any) {
	c.core.session.Log.Error("publisher's middleware panicked", slog.String("subject", string(c.core.subject)),
		slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
}
