package listener

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// RawHandler handles one event as its bytes. payload must not be changed, and stays
// valid. What it returns decides what becomes of the event, as with a [Handler].
type RawHandler func(ctx context.Context, payload []byte, d Delivery) error

// Raw is a listener without a type of events: it hands payloads to its handler as they
// were stored. It is for tools that work with whatever is on a subject: an event that was
// stored twice, or on two subjects of a pattern, is handed on twice. It is safe for
// concurrent use.
type Raw struct {
	core *core
}

// NewRaw returns a listener to a subject, which receives nothing before [Raw.Listen].
//
// Where the broker has wildcards, over JetStream, the subject may be a pattern: '*' stands
// for one token between dots, and '>' at the end for one or more. A pattern has to lie within
// one of the stream's subjects: where the stream has "seating.>", "seating.*" is one, and '>'
// alone is none. Each Delivery's Subject is the message's own, and so is that of its dead
// letter. A pattern that takes in the listener's own dead letters needs [NoDeadLetters]. Over
// NATS Streaming a pattern is refused with client.ErrUnsupported: make a listener for each
// subject there, and [Run] them together.
//
// The queue group, durables, retries, dead letters and options are as with [New], except
// for options that need a type of events: [OrderingKey], [InVersionOrder], [Validate],
// [Codec] and [Use] are refused here, and passed over among the client's [Defaults]. An
// error, which matches client.ErrInvalid, says what is wrong with the subject, a name,
// the handler or an option.
func NewRaw(c *client.Client, subject subjects.Subject, queueGroup string, h RawHandler, opts ...Option) (*Raw, error) {
	core, err := newCore(c, subject, queueGroup, opts, eventKind{})
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, core.fail(fmt.Errorf("%w handler: nil", client.ErrInvalid))
	}
	core.eventType = eraseRaw(h)
	return &Raw{core: core}, nil
}

// eraseRaw makes what the core works with. Its events are payloads.
func eraseRaw(h RawHandler) eventType {
	pool := sync.Pool{New: func() any { return new([]byte) }}
	return eventType{
		decode: func(d *transport.Delivery) (any, error) {
			payload, _ := pool.Get().(*[]byte)
			*payload = d.Data
			return payload, nil
		},
		handle: func(ctx context.Context, event any, d Delivery) error {
			payload, _ := event.(*[]byte)
			return h(ctx, *payload, d)
		},
		release: func(event any) {
			payload, _ := event.(*[]byte)
			*payload = nil
			pool.Put(payload)
		},
	}
}

// validSubject checks the subject of a raw listener.
func (c *core) validSubject() error {
	if transport.IsPattern(string(c.subject)) && !c.session.Conn.Features().Wildcards {
		return fmt.Errorf("%w: this broker has no wildcards; make a listener for each subject, and run them together with Run", transport.ErrUnsupported)
	}
	if err := validPattern(c.subject); err != nil {
		return fmt.Errorf("%w subject: %w", transport.ErrInvalid, err)
	}
	return swapped("queue group", c.group, c.subject)
}

// validPattern checks a subject that may be a pattern: with a name in place of each
// wildcard it has to be a subject.
func validPattern(subject subjects.Subject) error {
	tokens := strings.Split(string(subject), ".")
	for i, token := range tokens {
		if token == "*" || token == ">" && i == len(tokens)-1 {
			tokens[i] = "x"
		}
	}
	return subjects.Valid(strings.Join(tokens, "."))
}

// Listen subscribes and hands events to the handler until ctx is done, then drains. It is
// as [Listener.Listen].
func (l *Raw) Listen(ctx context.Context) error {
	if err := l.made(); err != nil {
		return err
	}
	return l.core.fail(l.core.listen(ctx))
}

// Ready returns a channel that is closed once the server has taken the subscription. It
// is as [Listener.Ready].
func (l *Raw) Ready() <-chan struct{} {
	if l.made() != nil {
		return nil // never: Listen returns the error
	}
	return l.core.readySignal()
}

// DeleteDurable makes the server forget how far the durable has come. It is as
// [Listener.DeleteDurable].
func (l *Raw) DeleteDurable(ctx context.Context) error {
	if err := l.made(); err != nil {
		err.doing = deletingDurable
		return err
	}
	return l.core.deleteDurable(ctx)
}

// made returns an error for a listener that NewRaw did not make.
func (l *Raw) made() *Error {
	if l != nil && l.core != nil {
		return nil
	}
	return &Error{Err: fmt.Errorf("%w raw listener: nil; make one with NewRaw", client.ErrInvalid)}
}
