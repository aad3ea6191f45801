package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// Broker is a broker in process. Make it with [New]. It is safe for concurrent use.
type Broker struct {
	options options

	mu       sync.Mutex
	channels map[string]*channel
	conns    map[*conn]struct{}
	seen     recent // message IDs, for deduplication
	faults   faults
	changed  chan struct{} // closed with the next message; nil until somebody asks
}

// New returns an empty broker, like NATS Streaming unless an option says otherwise.
func New(opts ...Option) *Broker {
	o := options{features: natsStreaming, maxPayload: 1 << 20, exclusiveClientIDs: true}
	for _, opt := range opts {
		opt(&o)
	}
	return &Broker{
		options:  o,
		channels: make(map[string]*channel),
		conns:    make(map[*conn]struct{}),
	}
}

// Dialer returns the dialer to the broker, for client.Transport. It takes any
// cluster ID and any URL.
func (b *Broker) Dialer() transport.Dialer {
	return func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
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

// channel returns the channel of that name, which comes into being with its first use.
func (b *Broker) channel(name string) *channel {
	ch, ok := b.channels[name]
	if !ok {
		ch = &channel{broker: b, name: name, groups: make(map[groupKey]*group), pattern: transport.IsPattern(name)}
		if ch.pattern {
			ch.gather()
		}
		b.channels[name] = ch
	}
	return ch
}

// stored is a message in its channel.
type stored struct {
	subject  string
	sequence uint64
	time     time.Time
	header   transport.Header
	data     []byte
}

// channel keeps messages: all there ever were. The broker's lock guards it.
type channel struct {
	broker  *Broker
	name    string
	pattern bool     // it holds once more, with sequences of its own, what is on the subjects that its name takes
	log     []stored // log[i] has sequence i+1
	groups  map[groupKey]*group
}

// takes reports whether it is a pattern's, and takes the subject.
func (ch *channel) takes(subject string) bool {
	return ch.pattern && transport.Covers(ch.name, subject)
}

// gather fills a pattern's channel with what was stored before, oldest first.
func (ch *channel) gather() {
	for _, other := range ch.broker.channels {
		if !other.pattern && ch.takes(other.name) {
			ch.log = append(ch.log, other.log...)
		}
	}
	slices.SortStableFunc(ch.log, func(a, b stored) int { return a.time.Compare(b.time) })
	for i := range ch.log {
		ch.log[i].sequence = uint64(i) + 1
	}
}

func (ch *channel) store(m transport.Message) {
	ch.log = append(ch.log, stored{
		subject: m.Subject, sequence: uint64(len(ch.log)) + 1, time: time.Now(),
		header: m.Header, data: append([]byte(nil), m.Data...),
	})
	if ch.broker.changed != nil {
		close(ch.broker.changed)
		ch.broker.changed = nil
	}
	for _, g := range ch.groups {
		g.dispatch()
	}
}

// first returns the sequence with which a new group at that position begins.
func (ch *channel) first(p transport.Position) uint64 {
	end := uint64(len(ch.log)) + 1
	switch p.Kind() {
	case transport.StartNewOnly:
		return end
	case transport.StartLastReceived:
		return max(end-1, 1)
	case transport.StartSequence:
		return min(p.Sequence(), end)
	case transport.StartTime, transport.StartAgo:
		from := p.Time(time.Now())
		for _, m := range ch.log {
			if !m.time.Before(from) {
				return m.sequence
			}
		}
		return end
	default:
		return 1
	}
}
