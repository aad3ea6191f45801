package publisher

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// core is a publisher without its type. Events come as pointers in an any.
type core struct {
	sender  *publishing.Sender
	log     *slog.Logger
	subject subjects.Subject
	codec   codec.Codec
	meta    metadata
	invoke  Invocation // calls the middleware; nil: there is none

	messageID func(event any) string // of option MessageID; nil: none

	pendings sync.Pool // of *Pending, those that only PublishAll sees
}

func newCore(cl *client.Client, subject subjects.Subject, o options) *core {
	s := access.Session(cl)
	return &core{
		sender: newSender(cl, o), log: s.Log, subject: subject, codec: o.codec,
		meta:     newMetadata(s.Conn.Features(), cl.ClusterID(), cl.ClientID(), subject, o.codec.ContentType()),
		pendings: sync.Pool{New: func() any { return new(Pending) }},
	}
}

// newSender returns the sender of a Publisher or a Raw with these options.
func newSender(cl *client.Client, o options) *publishing.Sender {
	return access.Session(cl).NewSender(publishing.Config{Observers: o.observers, Timeout: o.timeout, Wrap: wrap})
}

// publish waits for the outcome. header is what the middleware adds.
func (c *core) publish(ctx context.Context, event any, s *scratch, header transport.Header) error {
	m, err := c.message(event, s, header)
	if err != nil {
		return c.sender.Refuse(m, err)
	}
	return c.sender.Publish(ctx, m)
}

// publishAsync returns once the event is handed to the connection; p tells the outcome.
// header is what the middleware adds.
func (c *core) publishAsync(ctx context.Context, event any, s *scratch, header transport.Header, p *Pending) error {
	m, err := c.message(event, s, header)
	if err != nil {
		return c.sender.Refuse(m, err)
	}
	return c.sender.PublishAsync(ctx, m, &p.publish)
}

// message validates the event and makes its message. The payload belongs to s.
func (c *core) message(event any, s *scratch, header transport.Header) (transport.Message, error) {
	m := transport.Message{Subject: string(c.subject)}
	id, err := c.encode(event, s)
	if err != nil {
		return m, err
	}
	if err := validID(id); err != nil {
		return m, fmt.Errorf("%w of option MessageID", err)
	}
	m.ID, m.Data = id, s.payload
	c.meta.describe(&m)
	maps.Copy(m.Header, header)
	return m, nil
}

// encode validates the event and makes its payload, which belongs to s, and its message ID.
// It calls methods and functions of the caller: what they panic with is an error.
func (c *core) encode(event any, s *scratch) (id string, err error) {
	calling := "Subject"
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s of %T panics: %v", ErrInvalidEvent, calling, event, p)
		}
	}()
	// A pointer to an event has the event's methods.
	if e, ok := event.(events.Event); ok && e.Subject() != c.subject {
		return "", fmt.Errorf("%w: its subject is %q, and the publisher's is %q: a type of event has one subject; use a type for each",
			ErrInvalidEvent, e.Subject(), c.subject)
	}
	calling = "Validate"
	if v, ok := event.(events.Validator); ok {
		if err := v.Validate(); err != nil {
			return "", fmt.Errorf("%w: %w", ErrInvalidEvent, err)
		}
	}
	if c.messageID != nil {
		calling = "the function of option MessageID"
		id = c.messageID(event)
	}
	calling = "encoding"
	var payload []byte
	if a, ok := c.codec.(codec.Appender); ok {
		payload, err = a.AppendEncode(s.payload[:0], event)
	} else {
		payload, err = c.codec.Encode(event)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalidEvent, err)
	}
	s.payload = payload
	return id, nil
}

// lendPending returns a Pending that PublishAll alone sees, and gives back.
func (c *core) lendPending() *Pending {
	p, _ := c.pendings.Get().(*Pending)
	return p
}

// giveBackPending takes a Pending back that is decided, or was not sent.
func (c *core) giveBackPending(p *Pending) {
	if p.publish.OnDecided != nil {
		return // middleware has seen it
	}
	p.publish.Reset()
	c.pendings.Put(p)
}

// notStored is the error of a call that publishes nothing, and of which observers are not
// told.
func (c *core) notStored(err error) error {
	return wrap(string(c.subject), fmt.Errorf("%w: %w", ErrNotStored, err))
}
