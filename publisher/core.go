package publisher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// core is a publisher without its type. Events come as pointers in an any.
type core struct {
	session *session.Session
	subject subjects.Subject
	options options
	meta    metadata
	invoke  Invocation // through the middleware; nil: there is none

	waiters  sync.Pool // of *waiter
	pendings sync.Pool // of *Pending, those that only PublishAll sees
	flying   flying
}

func newCore(cl *client.Client, subject subjects.Subject, o options) *core {
	s := access.Session(cl)
	c := &core{session: s, subject: subject, options: o}
	c.meta = newMetadata(s.Conn.Features(), cl.ClusterID(), cl.ClientID(), subject, o.codec.ContentType())
	c.waiters.New = func() any { return newWaiter(s.Window) }
	c.pendings.New = func() any { return &Pending{core: c} }
	c.flying.expired = c.timedOut
	return c
}

// publish waits for the outcome. header is what the middleware adds.
func (c *core) publish(ctx context.Context, event any, header transport.Header) error {
	w, _ := c.waiters.Get().(*waiter)
	defer w.giveBack(&c.waiters)

	if err := c.encode(w, event); err != nil {
		return c.notStored(err)
	}
	started := time.Now()
	if err := c.enter(ctx, w); err != nil {
		return c.notStored(err)
	}
	ticket := c.session.Conn.Publish(c.message(w.payload, header), w)

	var timeout <-chan time.Time
	if _, ok := ctx.Deadline(); !ok {
		timeout = w.within(c.options.timeout - time.Since(started))
		defer w.timer.Stop()
	}
	var cause error
	select {
	case err := <-w.settled:
		return c.failure(err, nil)
	case <-ctx.Done():
		cause = ended(ctx)
	case <-timeout:
		cause = c.timedOut()
	}
	c.session.Conn.Abandon(ticket)
	return c.failure(<-w.settled, cause)
}

// send returns once the event is on its way, and p is the publish. header is what the
// middleware adds.
func (c *core) send(ctx context.Context, event any, p *Pending, header transport.Header) error {
	w, _ := c.waiters.Get().(*waiter) // for what it has besides
	defer w.giveBack(&c.waiters)

	if err := c.encode(w, event); err != nil {
		return c.notStored(err)
	}
	if err := c.enter(ctx, w); err != nil {
		return c.notStored(err)
	}
	p.ticket = c.session.Conn.Publish(c.message(w.payload, header), (*receipt)(p))
	c.flying.add(p, c.options.timeout)
	return nil
}

// lend returns a Pending that the caller alone sees, and gives back.
func (c *core) lend() *Pending {
	p, _ := c.pendings.Get().(*Pending)
	return p
}

// giveBack takes one back that is decided, or was not sent.
func (c *core) giveBack(p *Pending) {
	if p.call != nil {
		return // middleware has seen it
	}
	p.reset()
	c.pendings.Put(p)
}

func (c *core) message(payload []byte, header transport.Header) transport.Message {
	m := transport.Message{Subject: string(c.subject), Data: payload}
	c.meta.describe(&m)
	maps.Copy(m.Header, header)
	return m
}

// encode validates the event and makes its payload, which is w's.
func (c *core) encode(w *waiter, event any) error {
	if v, ok := event.(events.Validator); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidEvent, err)
		}
	}
	var payload []byte
	var err error
	if a, ok := c.options.codec.(codec.Appender); ok {
		payload, err = a.AppendEncode(w.payload[:0], event)
	} else {
		payload, err = c.options.codec.Encode(event)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidEvent, err)
	}
	w.payload = payload
	return nil
}

// enter takes a place in the client's window, waiting for one until ctx is done
// or, where it has no deadline, the timeout has passed.
func (c *core) enter(ctx context.Context, w *waiter) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if ok, err := c.session.Window.TryEnter(); ok || err != nil {
		return err
	}
	var timeout <-chan time.Time
	if _, ok := ctx.Deadline(); !ok {
		timeout = w.within(c.options.timeout)
		defer w.timer.Stop()
	}
	err := c.session.Window.Enter(ctx, timeout)
	switch {
	case err == nil, errors.Is(err, transport.ErrClosed):
		return err
	case errors.Is(err, session.ErrNoPlace):
		err = fmt.Errorf("none within %v (option Timeout): %w", c.options.timeout, context.DeadlineExceeded)
	default:
		err = ended(ctx)
	}
	return fmt.Errorf("no place in the window of publishes in flight (client option PublishWindow): %w", err)
}

// timedOut is the cause where the publisher's own timeout ended a publish.
func (c *core) timedOut() error {
	return fmt.Errorf("no confirmation from the server within %v (option Timeout): %w", c.options.timeout, context.DeadlineExceeded)
}

// failure makes the error of a publish from the transport's, and from what ended
// the wait for it.
func (c *core) failure(err, cause error) error {
	switch {
	case err == nil:
		return nil
	case cause != nil:
		return &Error{c.subject, fmt.Errorf("%w: %w", err, cause)}
	default:
		return &Error{c.subject, err}
	}
}

func (c *core) notStored(err error) error {
	return &Error{c.subject, fmt.Errorf("%w: %w", ErrNotStored, err)}
}
