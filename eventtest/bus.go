package eventtest

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

const (
	defaultWait = 2 * time.Second
	// closeTimeout is how long the end of the test waits for handlers that run.
	closeTimeout = 10 * time.Second
)

// Bus is a broker within the process and a client on it, both of one test. Make it
// with [New]. It is safe for concurrent use.
type Bus struct {
	t       testing.TB
	options options
	broker  *memory.Broker
	client  *client.Client
	parcels parcels

	mu        sync.Mutex
	lines     map[target]*line
	others    []transport.Subscription // of listeners that the test itself made listen
	sequences map[string]uint64        // of the last event delivered, by subject
}

// New returns a Bus with nothing published. When the test ends it is closed:
// listeners that still listen drain, and a handler that then runs for 10 s more
// fails the test. What the client logs goes to t.Log. A mistake in the options
// fails the test.
func New(t testing.TB, opts ...Option) *Bus {
	t.Helper()
	o := options{broker: memory.NATSStreaming(), codec: codec.JSON{}, wait: defaultWait}
	for _, opt := range opts {
		if opt == nil {
			t.Fatal("eventtest: an option is nil; leave it out")
		}
		opt(&o)
	}
	b := &Bus{
		t: t, options: o, broker: memory.New(o.broker),
		lines: make(map[target]*line), sequences: make(map[string]uint64),
	}
	log := &testLog{t: t}
	c, err := client.Build(context.Background(), "eventtest", "eventtest", "memory:",
		client.Transport(b.dial), client.Logger(slog.New(log.handler())))
	if err != nil {
		t.Fatalf("eventtest: %v", err)
	}
	b.client = c
	session := access.Session(c)
	session.Observers = append(session.Observers, &b.parcels)
	t.Cleanup(func() {
		defer log.end()
		b.close()
	})
	return b
}

// Client returns the client to make publishers and listeners from.
func (b *Bus) Client() *client.Client { return b.client }

// Broker returns the broker, whose methods cause faults on demand: RefuseNext, for
// instance, makes the next publish fail.
func (b *Bus) Broker() *memory.Broker { return b.broker }

func (b *Bus) dial(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
	conn, err := b.broker.Dialer()(ctx, cfg)
	return &tap{Conn: conn, bus: b}, err
}

// close ends what the test has left.
func (b *Bus) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	b.mu.Lock()
	lines := slices.Collect(maps.Values(b.lines))
	b.prune()
	listening := len(b.others) > 0
	b.mu.Unlock()
	for _, ln := range lines {
		ln.cancel()
	}
	// No handler of a line runs any more. What ManualAck left open there is not
	// waited for, and no fault.
	forget := len(lines) > 0 && !listening
	if forget {
		cancel()
	}
	closed := b.client.Err() != nil
	err := b.client.Close(ctx)
	for _, ln := range lines {
		<-ln.ended
	}
	if err != nil && !forget && !closed {
		b.t.Errorf("eventtest: at the end of the test: %v; see to it that handlers return when their context ends", err)
	}
}

// tap is the connection of a bus. It hands the subscription of a listener that
// Deliver made listen to that Deliver, instead of to the broker.
type tap struct {
	transport.Conn

	bus *Bus
}

// Subscribe implements transport.Conn.
func (c *tap) Subscribe(ctx context.Context, s transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	if ln, ok := ctx.Value(lineKey{}).(*line); ok && ln.claimed.CompareAndSwap(false, true) {
		if ln.bus != c.bus {
			return nil, errForeign
		}
		if err := c.Err(); err != nil {
			return nil, err
		}
		ln.open(s, deliver)
		return ln, nil
	}
	sub, err := c.Conn.Subscribe(ctx, s, deliver)
	if err == nil {
		c.bus.listens(sub)
	}
	return sub, err
}

// listens remembers a subscription until it is over.
func (b *Bus) listens(sub transport.Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune()
	b.others = append(b.others, sub)
}

func (b *Bus) prune() {
	b.others = slices.DeleteFunc(b.others, func(s transport.Subscription) bool { return s.Err() != nil })
}
