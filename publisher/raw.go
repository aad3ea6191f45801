package publisher

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Message is what a [Raw] publishes. It is sent as it is: nothing is encoded, validated or
// added. What the broker can't carry is left out: NATS Streaming has neither headers nor
// message IDs.
type Message struct {
	// Subject is any subject that can be published to, those of dead letters included.
	Subject subjects.Subject
	// ID is the message ID by which the broker recognises a message that it has stored
	// already, so that publishing it again does not store it again. One who publishes the
	// same message again after [ErrOutcomeUnknown], or after a restart, gives it the same
	// ID. It is printable ASCII, and neither begins nor ends with a space. Empty: each
	// publish gets a random ID, which covers what the library itself sends again, and
	// nothing else.
	ID string
	// Header holds headers, by name as it is to be written. A name is printable ASCII without
	// space and ':', and does not begin with Nats-, which is the server's; a value holds no
	// line break, and JetStream does not keep the spaces at its ends. nil: none.
	Header map[string][]string
	// Data is the payload. It may be empty or nil, which are the same to the broker.
	Data []byte
}

// Raw publishes messages to any subject, without a type of event: for relays and other
// tools. What is true of the errors of a [Publisher] is true of its errors, too. It is safe
// for concurrent use and needs no closing.
type Raw struct {
	sender *publishing.Sender
}

// NewRaw returns a Raw publisher. Its options are [Timeout] and [Observe]. The others need
// a type of event: given to NewRaw they are refused, and those of [Defaults] are passed
// over. An error says what is wrong with the client or an option; nothing is sent.
func NewRaw(c *client.Client, opts ...Option) (*Raw, error) {
	if access.Session(c) == nil {
		return nil, fmt.Errorf("new raw publisher: %w client: nil; make one with client.Build or client.FromEnv", client.ErrInvalid)
	}
	o, err := newOptions(slices.Concat(defaults(&access.Session(c).Defaults), opts))
	if err != nil {
		return nil, fmt.Errorf("new raw publisher: %w", err)
	}
	own, err := newOptions(opts)
	if err != nil {
		return nil, fmt.Errorf("new raw publisher: %w", err)
	}
	if len(own.typed) > 0 {
		return nil, fmt.Errorf("new raw publisher: %w option %s: it needs a type of event, which a raw publisher has not; leave it out",
			client.ErrInvalid, strings.Join(own.typed, ", "))
	}
	return &Raw{sender: newSender(c, o)}, nil
}

// Publish returns nil when the server has stored the message. Any error is an [*Error]: it
// matches [ErrNotStored] or [ErrOutcomeUnknown]. A message that can't be sent is refused
// before anything is sent; the error then matches client.ErrInvalid, too. Publish returns
// when ctx is done at the latest, or, where ctx has no deadline, after [Timeout]. The
// caller may reuse m.Data and m.Header after Publish returns.
func (r *Raw) Publish(ctx context.Context, m Message) error {
	message, err := r.message(ctx, m)
	if err != nil {
		return err
	}
	return r.sender.Publish(ctx, message)
}

// PublishAsync sends the message and returns without waiting for the server; the
// [Pending] tells what became of it, [Timeout] later at the latest. ctx bounds the wait for
// the client's window only. An error, always an [*Error] that matches [ErrNotStored], means
// that nothing was sent. The caller may reuse m.Data and m.Header after PublishAsync
// returns.
func (r *Raw) PublishAsync(ctx context.Context, m Message) (*Pending, error) {
	message, err := r.message(ctx, m)
	if err != nil {
		return nil, err
	}
	p := &Pending{}
	if err := r.sender.PublishAsync(ctx, message, &p.publish); err != nil {
		return nil, err
	}
	return p, nil
}

// message checks m and returns what is sent of it, or the error for the caller.
func (r *Raw) message(ctx context.Context, m Message) (transport.Message, error) {
	out := transport.Message{Subject: string(m.Subject), ID: m.ID, Data: m.Data}
	if r == nil || r.sender == nil {
		return out, &Error{m.Subject, fmt.Errorf("%w: %w raw publisher: nil; make one with NewRaw", ErrNotStored, client.ErrInvalid)}
	}
	if len(m.Header) > 0 {
		out.Header = make(transport.Header, len(m.Header)+2) // the connection adds its own
		for name, values := range m.Header {
			out.Header[name] = slices.Clone(values) // the caller may reuse them
		}
	}
	err := m.valid()
	if ctx == nil {
		err = errNoContext
	}
	if err != nil {
		return out, r.sender.Refuse(out, err)
	}
	return out, nil
}

// valid returns why m can't be sent.
func (m Message) valid() error {
	if err := subjects.Valid(string(m.Subject)); err != nil {
		return fmt.Errorf("%w Subject of the message: %w", client.ErrInvalid, err)
	}
	if err := validID(m.ID); err != nil {
		return err
	}
	for name, values := range m.Header {
		if len(values) == 0 {
			values = []string{""} // so that the name is checked
		}
		for _, value := range values {
			if err := validHeader(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}
