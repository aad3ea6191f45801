package listener

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// eventType is what the core needs to know of the type of the listener's events.
type eventType struct {
	decode  func(d *transport.Delivery) (event any, err error)
	handle  func(ctx context.Context, event any, d Delivery) error
	key     func(event any) (string, error)    // nil: no ordering key
	release func(event any)                    // the event is not used any more
	entity  func(d *transport.Delivery) string // for the log; "" if it can't be told; nil: the type has no entities
}

// core is a listener without its type: what [Listener] and [Raw] share.
type core struct {
	session     *session.Session
	subject     subjects.Subject // a pattern, of a Raw listener, where the broker has them
	group       string
	options     options
	eventType   eventType
	observers   []observe.Observer // nil: nobody observes
	log         *slog.Logger
	events      reflect.Type // of which type its events are; nil: they have none
	raw         bool         // it hands on whatever is stored, each message by itself
	clientID    string
	stuckRemedy string // what helps where events are stuck without dead letters

	mu    sync.Mutex
	busy  error         // what it is doing: why it can't do anything else; nil: nothing
	ready chan struct{} // closed once subscribed; a new one for each Listen
}

// newCore makes what all listeners have; its eventType is still to be set.
func newCore(c *client.Client, subject subjects.Subject, queueGroup string, opts []Option, kind eventKind) (*core, error) {
	core := &core{subject: subject, group: queueGroup, raw: kind.name == nil, events: kind.name, stuckRemedy: remedyNoDeadLetters, ready: make(chan struct{})}
	core.session = access.Session(c)
	if core.session == nil {
		return nil, core.fail(fmt.Errorf("%w client: nil; make one with client.Build or client.FromEnv", client.ErrInvalid))
	}
	core.clientID = c.ClientID()
	core.log = core.session.Log.With(slog.String("subject", string(subject)), slog.String("group", queueGroup))
	if core.raw {
		if err := core.validSubject(); err != nil {
			return nil, core.fail(err)
		}
	}
	var err error
	core.options, err = newOptions(defaults(&core.session.Defaults), opts, kind)
	if err == nil {
		err = core.options.check(queueGroup, core.session.GeneratedID, core.session.Conn.Features())
	}
	if err == nil {
		err = core.validDeadLetterSubject()
	}
	if err != nil {
		return nil, core.fail(err)
	}
	core.logPassed()
	core.observers = slices.Concat(core.session.Observers, core.options.observers)
	return core, nil
}

func (c *core) subscribeConfig() transport.SubscribeConfig {
	return transport.SubscribeConfig{
		Subject: string(c.subject), Durable: c.options.durable, Group: c.group,
		Start: c.options.start, AckWait: c.options.ackWait, MaxInFlight: c.options.maxInFlight,
		EventType: session.TypeName(c.events),
	}
}

func (c *core) fail(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Subject: c.subject, Group: c.group, Err: err}
}

// claim makes sure that one thing happens at a time: one Listen, or one deletion.
// busy is what others are told meanwhile.
func (c *core) claim(busy error) (done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy != nil {
		return nil, c.busy
	}
	c.busy = busy
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy = nil
		select {
		case <-c.ready:
			c.ready = make(chan struct{})
		default:
		}
	}, nil
}

// readySignal returns the channel that is closed once the next Listen has subscribed.
func (c *core) readySignal() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

// description names the listener in reasons why the client is degraded.
func (c *core) description() string {
	if c.group == "" {
		return string(c.subject)
	}
	return string(c.subject) + " (queue group " + c.group + ")"
}
