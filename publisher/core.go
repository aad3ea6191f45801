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

	waiters sync.Pool // of *waiter
	flying  flying
}

func newCore(cl *client.Client, subject subjects.Subject, o options) *core {
	s := cl.Session()
	c := &core{session: s, subject: subject, options: o}
	c.meta = newMetadata(s.Conn.Features(), cl.ClusterID(), cl.ClientID(), subject, o.codec.ContentType())
	c.waiters.New = func() any { return newWaiter(s.Window) }
	c.flying.expired = c.timedOut
	return c
}

// publish waits for the outcome. header is what the middleware adds.
func (c *core) publish(ctx context.Context, event any, header transport.Header) error {
	w, _ := c.waiters.Get().(*waiter)
	defer c.waiters.Put(w)

	payload, err := c.encode(w.payload[:0], event)
	if err != nil {
		return c.notStored(err)
	}
	w.payload = payload
	started := time.Now()
	if err := c.enter(ctx); err != nil {
		return c.notStored(err)
	}
	ticket := c.session.Conn.Publish(c.message(payload, header), w)

	var timeout <-chan time.Time
	if _, ok := ctx.Deadline(); !ok {
		w.timer.Reset(c.options.timeout - time.Since(started))
		defer w.timer.Stop()
		timeout = w.timer.C
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

// publishAsync returns once the event is on its way. header is what the middleware
// adds, whose call is told the outcome; nil: none.
func (c *core) publishAsync(ctx context.Context, event any, through *call, header transport.Header) (*Pending, error) {
	payload, err := c.encode(nil, event)
	if err != nil {
		return nil, c.notStored(err)
	}
	if err := c.enter(ctx); err != nil {
		return nil, c.notStored(err)
	}
	p := &Pending{core: c, call: through}
	p.ticket = c.session.Conn.Publish(c.message(payload, header), (*receipt)(p))
	c.flying.add(p, time.Now().Add(c.options.timeout))
	return p, nil
}

func (c *core) message(payload []byte, header transport.Header) transport.Message {
	m := transport.Message{Subject: string(c.subject), Data: payload}
	c.meta.describe(&m)
	maps.Copy(m.Header, header)
	return m
}

// encode validates the event and appends its payload to buf.
func (c *core) encode(buf []byte, event any) ([]byte, error) {
	if v, ok := event.(events.Validator); ok {
		if err := v.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalidEvent, err)
		}
	}
	var err error
	if a, ok := c.options.codec.(codec.Appender); ok {
		buf, err = a.AppendEncode(buf, event)
	} else {
		buf, err = c.options.codec.Encode(event)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidEvent, err)
	}
	return buf, nil
}

// enter takes a place in the client's window, waiting for one until ctx is done
// or, where it has no deadline, the timeout has passed.
func (c *core) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if ok, err := c.session.Window.TryEnter(); ok || err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.options.timeout,
			fmt.Errorf("none within %v (option Timeout): %w", c.options.timeout, context.DeadlineExceeded))
		defer cancel()
	}
	if err := c.session.Window.Enter(ctx); err != nil {
		if errors.Is(err, transport.ErrClosed) {
			return err
		}
		return fmt.Errorf("no place in the window of publishes in flight (client option PublishWindow): %w", ended(ctx))
	}
	return nil
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
