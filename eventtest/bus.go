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
	"github.com/sgtickets/common/internal/option"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

const (
	defaultWait = 2 * time.Second
	// closeTimeout is how long the end of the test waits for running handlers.
	closeTimeout = 10 * time.Second
)

// Bus is a broker within the process and a client that is connected to it, both for one
// test. Make it with [New]. It is safe for concurrent use.
type Bus struct {
	t       testing.TB
	options options
	broker  *memory.Broker
	client  *client.Client
	// recorder observes the listeners of client.
	recorder recorder

	mu        sync.Mutex
	fakes     map[anyListener]*fakeSubscription
	real      []transport.Subscription // to the broker, of listeners that the test itself made listen
	sequences map[string]uint64        // the last one that Deliver used, by subject
}

// New returns a Bus on which nothing is published. It is closed when the test ends:
// listeners that still listen drain, and the test fails if a handler runs for 10 s more.
// The client logs to t.Output, so that its lines are shown as those of t.Log are. A wrong option fails the test at once.
func New(t testing.TB, opts ...Option) *Bus {
	t.Helper()
	o := options{broker: memory.NATSStreaming(), codec: codec.JSON{}, wait: defaultWait}
	if err := option.Apply(client.ErrInvalid, &o, opts); err != nil {
		t.Fatalf("eventtest: %v", err)
	}
	b := &Bus{
		t: t, options: o, broker: memory.New(o.broker),
		fakes: make(map[anyListener]*fakeSubscription), sequences: make(map[string]uint64),
	}
	log := &testLog{t: t}
	c, err := client.Build(context.Background(), "eventtest", "eventtest", "memory:",
		client.Transport(b.dial), client.Observe(&b.recorder), client.Logger(slog.New(log.handler())))
	if err != nil {
		t.Fatalf("eventtest: %v", err)
	}
	b.client = c
	t.Cleanup(func() {
		defer log.end()
		b.close()
	})
	return b
}

// made reports whether New made the Bus.
func (b *Bus) made() bool { return b != nil && b.broker != nil }

// Client returns the client from which the test makes publishers and listeners.
func (b *Bus) Client() *client.Client { return b.client }

// Broker returns the broker. Its methods cause faults on demand: RefuseNext, for instance,
// makes the next publish fail.
func (b *Bus) Broker() *memory.Broker { return b.broker }

// dial connects to the broker, through a connection that knows the bus.
func (b *Bus) dial(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
	conn, err := b.broker.Dialer()(ctx, cfg)
	return &busConn{Conn: conn, bus: b}, err
}

// close ends what the test has left open.
func (b *Bus) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	b.mu.Lock()
	fakes := slices.Collect(maps.Values(b.fakes))
	b.removeEnded()
	listening := len(b.real) > 0
	b.mu.Unlock()
	for _, sub := range fakes {
		sub.cancel()
	}
	// No handler runs any more on an event that Deliver delivered. Events that ManualAck
	// left open there are not waited for, and leaving them open is no fault.
	abandon := len(fakes) > 0 && !listening
	if abandon {
		cancel()
	}
	closed := b.client.Err() != nil
	err := b.client.Close(ctx)
	for _, sub := range fakes {
		<-sub.ended
	}
	if err != nil && !abandon && !closed {
		b.t.Errorf("eventtest: at the end of the test: %v; see to it that handlers return when their context ends", err)
	}
}

// addReal remembers a subscription to the broker until it ends.
func (b *Bus) addReal(sub transport.Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removeEnded()
	b.real = append(b.real, sub)
}

func (b *Bus) removeEnded() {
	b.real = slices.DeleteFunc(b.real, func(s transport.Subscription) bool { return s.Err() != nil })
}
