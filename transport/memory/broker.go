package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// Broker is a broker in process. Make it with [New]. It is safe for concurrent use.
type Broker struct {
	options options
	wrong   error // with an option; nil: nothing

	mu        sync.Mutex
	channels  map[string]*channel
	order     uint64 // of the message stored last
	conns     map[*conn]struct{}
	seen      recentIDs // for deduplication
	faults    faults
	forbidden forbidden
	changed   chan struct{} // closed when the next message is stored; nil until Changed is called
}

// New returns an empty broker. It behaves like NATS Streaming unless an option says
// otherwise.
func New(opts ...Option) *Broker {
	o := options{features: natsStreaming, maxPayload: 1 << 20, exclusiveClientIDs: true}
	wrong := option.Apply(transport.ErrInvalid, &o, opts)
	return &Broker{
		options:  o,
		wrong:    wrong,
		channels: make(map[string]*channel),
		conns:    make(map[*conn]struct{}),
	}
}

// Dialer returns a dialer that connects to the broker, for client.Transport. It accepts
// any cluster ID that is not empty, and any URL.
func (b *Broker) Dialer() transport.Dialer {
	return func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
		if b == nil || b.channels == nil {
			return nil, fmt.Errorf("%w broker: nil; make one with memory.New", transport.ErrInvalid)
		}
		if b.wrong != nil {
			return nil, b.wrong
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if cfg.ClusterID == "" || cfg.ClientID == "" {
			return nil, fmt.Errorf("%w cluster ID %q or client ID %q: empty", transport.ErrInvalid, cfg.ClusterID, cfg.ClientID)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.options.exclusiveClientIDs {
			for other := range b.conns {
				if other.clientID == cfg.ClientID {
					return nil, fmt.Errorf("%w: %q", transport.ErrClientIDTaken, cfg.ClientID)
				}
			}
		}
		c := &conn{broker: b, clientID: cfg.ClientID, notify: cfg.Notify, outbox: outbox.New(outbox.Policy{}), done: make(chan struct{})}
		c.outbox.Connected(false)
		b.conns[c] = struct{}{}
		return c, nil
	}
}

// channel returns the channel of that name. It creates the channel when it is first used.
func (b *Broker) channel(name string) *channel {
	ch, ok := b.channels[name]
	if !ok {
		ch = &channel{broker: b, name: name, groups: make(map[groupKey]*group), pattern: transport.IsPattern(name)}
		if ch.pattern {
			ch.copyStored()
		}
		b.channels[name] = ch
	}
	return ch
}
