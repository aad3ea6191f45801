package listener_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// replica is what a service makes of the tickets' events. It notes what it applied.
type replica struct {
	mu      sync.Mutex
	applied map[string][]int64
	running map[string]int
	overlap bool
	fail    func() bool // called with mu held; nil: never
}

func newReplica() *replica {
	return &replica{applied: make(map[string][]int64), running: make(map[string]int)}
}

var errNotToday = errors.New("not today")

func (r *replica) apply(e events.Versioned) error {
	r.mu.Lock()
	r.running[e.EntityID()]++
	r.overlap = r.overlap || r.running[e.EntityID()] > 1
	r.mu.Unlock()
	time.Sleep(time.Millisecond) // of virtual time: others may come in
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[e.EntityID()]--
	if r.fail != nil && r.fail() {
		return errNotToday
	}
	r.applied[e.EntityID()] = append(r.applied[e.EntityID()], e.EntityVersion())
	return nil
}

func (r *replica) of(id string) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int64{}, r.applied[id]...)
}

// replicas are the two listeners of the tickets, on a client of their own.
func replicas(t *testing.T, broker *memory.Broker, name string, r *replica, opts ...listener.Option) (c *client.Client, stop func()) {
	t.Helper()
	c, err := client.Build(t.Context(), "ticketing", name, "nats://none",
		client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	created, err := listener.New(c, "replica", func(_ context.Context, e events.TicketCreated, _ listener.Delivery) error { return r.apply(e) }, opts...)
	require.NoError(t, err)
	updated, err := listener.New(c, "replica", func(_ context.Context, e events.TicketUpdated, _ listener.Delivery) error { return r.apply(e) }, opts...)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- listener.Run(context.WithoutCancel(t.Context()), created, updated) }()
	<-created.Ready()
	<-updated.Ready()
	return c, func() {
		require.NoError(t, c.Close(context.Background()))
		require.NoError(t, <-ended)
	}
}

func publish[T events.Event](t *testing.T, c *client.Client, e T) {
	t.Helper()
	p, err := publisher.New[T](c)
	require.NoError(t, err)
	require.NoError(t, p.Publish(t.Context(), e))
}

func brokers(t *testing.T, test func(t *testing.T, broker *memory.Broker)) {
	t.Helper()
	for name, kind := range map[string]memory.Option{"NATS Streaming": memory.NATSStreaming(), "JetStream": memory.JetStream()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, memory.New(kind)) })
		})
	}
}

func ticket(version int64) events.TicketUpdated {
	return events.TicketUpdated{ID: "t1", Version: version, UserID: "u1"}
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		r := newReplica()
		c, stop := replicas(t, broker, "replica-1", r, listener.InVersionOrder(listener.NewMemoryVersions()))
		defer stop()

		publish(t, c, ticket(5))
		publish(t, c, ticket(4))
		time.Sleep(time.Second)
		require.Empty(t, r.of("t1"), "nothing has begun it")
		publish(t, c, events.TicketCreated{ID: "t1", Version: 3, UserID: "u1"}) // whatever its version
		time.Sleep(time.Minute)
		require.Equal(t, []int64{3, 4, 5}, r.of("t1"))

		publish(t, c, ticket(5)) // doubled
		publish(t, c, ticket(2)) // older
		publish(t, c, events.TicketCreated{ID: "t1", Version: 6, UserID: "u1"})
		publish(t, c, events.TicketCreated{ID: "t1", Version: 3, UserID: "u1"})
		publish(t, c, ticket(7))
		time.Sleep(time.Minute)
		require.Equal(t, []int64{3, 4, 5, 6, 7}, r.of("t1"))
	})
}

// TestVersionOrderWhateverComes: entities whose events come shuffled and doubled, to
// two members with several workers each, whose handlers fail at times.
func TestVersionOrderWhateverComes(t *testing.T) {
	t.Parallel()
	const tickets, versions = 6, 12
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		failures := rand.New(rand.NewPCG(seed, 1))
		r := newReplica()
		r.fail = func() bool { return failures.IntN(20) == 0 }
		store := listener.NewMemoryVersions()
		opts := []listener.Option{listener.InVersionOrder(store), listener.Concurrency(4), listener.MaxInFlight(4 * tickets * versions)}
		c, stop := replicas(t, broker, "replica-1", r, opts...)
		defer stop()
		_, stopOther := replicas(t, broker, "replica-2", r, opts...)
		defer stopOther()

		var sends []func()
		for n := range tickets {
			id := fmt.Sprintf("t%d", n)
			for range 2 {
				sends = append(sends, func() { publish(t, c, events.TicketCreated{ID: id, UserID: "u1"}) })
				for v := range int64(versions) {
					sends = append(sends, func() { publish(t, c, events.TicketUpdated{ID: id, Version: v + 1, UserID: "u1"}) })
				}
			}
		}
		random.Shuffle(len(sends), func(i, j int) { sends[i], sends[j] = sends[j], sends[i] })
		for _, send := range sends {
			send()
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		var want []int64
		for v := range int64(versions + 1) {
			want = append(want, v)
		}
		for n := range tickets {
			require.Equal(t, want, r.of(fmt.Sprintf("t%d", n)))
		}
		require.False(t, r.overlap, "two events of one entity were handled at the same time")
	})
}

// counting is a store that counts how often it is asked.
type counting struct {
	*listener.MemoryVersions

	asked atomic.Int64
}

func (c *counting) AppliedVersion(ctx context.Context, id string) (int64, error) {
	c.asked.Add(1)
	return c.MemoryVersions.AppliedVersion(ctx, id)
}

// TestEventsThatComeInOrderAreNeverAhead, however many workers there are: each is
// looked at once, but for those behind one that failed, which wait for it.
func TestEventsThatComeInOrderAreNeverAhead(t *testing.T) {
	t.Parallel()
	const updates = 500
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		r, store := newReplica(), &counting{MemoryVersions: listener.NewMemoryVersions()}
		require.NoError(t, store.SetAppliedVersion(t.Context(), "t1", listener.NoVersion, 0))
		left := 0
		r.fail = func() bool { left++; return left%50 == 0 }
		c, stop := replicas(t, broker, "replica-1", r, listener.InVersionOrder(store), listener.Concurrency(16))
		defer stop()
		for v := range int64(updates) {
			publish(t, c, ticket(v+1))
		}
		time.Sleep(time.Minute)
		r.mu.Lock()
		tries := left
		r.mu.Unlock()
		require.Len(t, r.of("t1"), updates)
		require.EqualValues(t, tries, store.asked.Load())
	})
}

// failing is a store whose methods fail once each.
type failing struct {
	*listener.MemoryVersions

	get, set error
}

func (f *failing) AppliedVersion(ctx context.Context, id string) (int64, error) {
	if err := f.get; err != nil {
		f.get = nil
		return 0, err
	}
	return f.MemoryVersions.AppliedVersion(ctx, id)
}

func (f *failing) SetAppliedVersion(ctx context.Context, id string, previous, version int64) error {
	if err := f.set; err != nil {
		f.set = nil
		return err
	}
	return f.MemoryVersions.SetAppliedVersion(ctx, id, previous, version)
}

// TestStoreThatFails makes the event be tried again: unhandled where the version is
// not known, handled once more where it could not be set.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		store   *failing
		applied []int64
	}{
		"get": {&failing{get: errNotToday}, []int64{0}},
		"set": {&failing{set: errNotToday}, []int64{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, broker *memory.Broker) {
				t.Helper()
				test := test
				test.store = &failing{listener.NewMemoryVersions(), test.store.get, test.store.set}
				r := newReplica()
				c, stop := replicas(t, broker, "replica-1", r, listener.InVersionOrder(test.store))
				defer stop()
				publish(t, c, events.TicketCreated{ID: "t1", UserID: "u1"})
				time.Sleep(time.Minute)
				require.Equal(t, test.applied, r.of("t1"))
				version, err := test.store.AppliedVersion(t.Context(), "t1")
				require.NoError(t, err)
				require.Zero(t, version)
			})
		})
	}
}

// TestWaitForAnEntityEnds with the handler's context. Another entity does not wait.
func TestWaitForAnEntityEnds(t *testing.T) {
	t.Parallel()
	brokers(t, func(t *testing.T, broker *memory.Broker) {
		t.Helper()
		slow, err := client.Build(t.Context(), "ticketing", "slow", "nats://none", client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
		require.NoError(t, err)
		store, begun, held := listener.NewMemoryVersions(), make(chan struct{}, 1), make(chan struct{})
		l, err := listener.New(slow, "slow", func(context.Context, events.TicketCreated, listener.Delivery) error {
			begun <- struct{}{}
			<-held
			return nil
		}, listener.InVersionOrder(store))
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(context.Background()) }()
		publish(t, slow, events.TicketCreated{ID: "t1", UserID: "u1"})
		<-begun

		r := newReplica()
		c, stop := replicas(t, broker, "replica-1", r, listener.InVersionOrder(store), listener.HandlerTimeout(time.Second))
		publish(t, c, events.TicketCreated{ID: "t2", UserID: "u1"})
		time.Sleep(1500 * time.Millisecond)
		require.Empty(t, r.of("t1"))
		require.Equal(t, []int64{0}, r.of("t2"))
		stop() // the handler that waited has given up: nothing is left to be drained
		close(held)
		require.NoError(t, slow.Close(context.Background()))
		require.NoError(t, <-ended)
	})
}

// TestEventWithoutAPlace in version order is not handled.
func TestEventWithoutAPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c, log := build(t, conn)
		l, err := listener.New(c, "g", func(context.Context, events.TicketCreated, listener.Delivery) error {
			t.Error("handled")
			return nil
		}, listener.InVersionOrder(listener.NewMemoryVersions()))
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(t.Context()) }()
		<-l.Ready()
		b := &bench{conn: conn}
		b.deliver(1) // of another type: neither ID nor version
		synctest.Wait()
		require.Contains(t, log.String(), `event of entity \"\" with version 0: it has no place in version order`)
		require.NoError(t, c.Close(t.Context()))
		require.NoError(t, <-ended)
	})
}

// odd is a store that can't be compared.
type odd struct{ _ []int64 }

func (odd) AppliedVersion(context.Context, string) (int64, error)         { return 0, nil }
func (odd) SetAppliedVersion(context.Context, string, int64, int64) error { return nil }

func TestVersionOrderThatCantBeIsRefused(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{})
	store, other := listener.NewMemoryVersions(), listener.NewMemoryVersions()
	refused := func(text string, opts ...listener.Option) {
		t.Helper()
		_, err := listener.New(c, "g", func(context.Context, events.TicketUpdated, listener.Delivery) error { return nil }, opts...)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	refused("option InVersionOrder: its store is nil", listener.InVersionOrder(nil))
	refused("option InVersionOrder: given twice", listener.InVersionOrder(store), listener.InVersionOrder(other))
	refused("option InVersionOrder: its store, a listener_test.odd, can't be told from another one; use a pointer", listener.InVersionOrder(odd{}))
	refused("options InVersionOrder and ManualAck", listener.InVersionOrder(store), listener.ManualAck())
	refused("options InVersionOrder and OrderingKey", listener.InVersionOrder(store), listener.Concurrency(2),
		listener.OrderingKey(func(e events.TicketUpdated) string { return e.ID }))

	_, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil }, listener.InVersionOrder(store))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option InVersionOrder: events.ExpirationComplete has no methods EntityID and EntityVersion (events.Versioned); give it both")
}

// TestVersionThatStaysMissing makes those that wait for it dead letters, in the end. Others of its
// subject go on meanwhile.
func TestVersionThatStaysMissing(t *testing.T) {
	t.Parallel()
	for name, concurrency := range map[string]int{"one worker": 1, "several": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, broker *memory.Broker) {
				t.Helper()
				r, store := newReplica(), listener.NewMemoryVersions()
				c, stop := replicas(t, broker, "replica-1", r, listener.InVersionOrder(store), listener.Concurrency(concurrency))
				defer stop()
				publish(t, c, events.TicketCreated{ID: "t1", UserID: "u1"})
				publish(t, c, events.TicketCreated{ID: "t2", UserID: "u1"})
				time.Sleep(time.Second)
				publish(t, c, ticket(2))
				publish(t, c, ticket(3))
				publish(t, c, events.TicketUpdated{ID: "t2", Version: 1, UserID: "u1"})
				time.Sleep(time.Second)
				require.Equal(t, []int64{0, 1}, r.of("t2"))
				require.Empty(t, broker.Stored("dead.replica.ticket:updated"))

				time.Sleep(9 * time.Minute)
				require.Empty(t, broker.Stored("dead.replica.ticket:updated"))
				time.Sleep(2 * time.Minute)
				letters := broker.Stored("dead.replica.ticket:updated")
				require.Len(t, letters, 2)
				for _, l := range letters {
					var letter events.DeadLetter
					require.NoError(t, json.Unmarshal(l.Data, &letter))
					require.Equal(t, events.DeadLetterVersionGap, letter.Reason)
					require.Zero(t, letter.Attempts, "to wait is no attempt")
					require.Contains(t, letter.Error, `of "t1", of which 0 was applied last: 1 is missing`)
				}
				require.Equal(t, []int64{0}, r.of("t1"))
				publish(t, c, ticket(1)) // too late for them, but not for itself
				time.Sleep(time.Second)
				require.Equal(t, []int64{0, 1}, r.of("t1"))
			})
		})
	}
}
