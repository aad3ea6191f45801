package listener_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport/memory"
)

// database is what several processes have in common: versions, and what their handlers
// made of the events. What is done in a transaction counts when that is committed, and
// one that finds another version than it began with fails.
type database struct {
	mu        sync.Mutex
	versions  map[string]int64
	handled   []int64
	conflicts int
	fail      func() bool // of a commit; called with mu held
}

type transaction struct {
	id                string
	previous, version int64
	handled           []int64
}

type transactionKey struct{}

func transactionOf(ctx context.Context) *transaction {
	tx, _ := ctx.Value(transactionKey{}).(*transaction)
	return tx
}

// process is the database as one process sees it.
type process struct{ *database }

func (d *database) AppliedVersion(_ context.Context, id string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v, ok := d.versions[id]; ok {
		return v, nil
	}
	return listener.NoVersion, nil
}

func (*database) SetAppliedVersion(ctx context.Context, id string, previous, version int64) error {
	tx := transactionOf(ctx)
	tx.id, tx.previous, tx.version = id, previous, version
	return nil
}

// inTransaction is a middleware that commits when the handler has succeeded.
func (d *database) inTransaction(next listener.Invocation) listener.Invocation {
	return func(ctx context.Context, event events.Event, delivery listener.Delivery) error {
		tx := &transaction{}
		if err := next(context.WithValue(ctx, transactionKey{}, tx), event, delivery); err != nil || tx.id == "" {
			return err
		}
		time.Sleep(10 * time.Millisecond) // a commit takes its time, too
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.fail() {
			return errNotToday
		}
		if now, ok := d.versions[tx.id]; ok && now != tx.previous {
			d.conflicts++
			return errors.New("another version was applied meanwhile")
		}
		d.versions[tx.id] = tx.version
		d.handled = append(d.handled, tx.handled...)
		return nil
	}
}

// TestVersionInTheHandlersTransaction: the store sees the context that a middleware
// hands on. Where commits fail, and two processes are given the same event, what the
// handlers do still counts once for each version, in order; and within a process the
// next event of an entity waits for the commit.
func TestVersionInTheHandlersTransaction(t *testing.T) {
	t.Parallel()
	const updates = 30
	for processes := 1; processes <= 2; processes++ {
		t.Run(fmt.Sprintf("processes %d", processes), func(t *testing.T) {
			t.Parallel()
			brokers(t, func(t *testing.T, broker *memory.Broker) {
				t.Helper()
				commits := 0
				db := &database{versions: map[string]int64{"t1": 0}, fail: func() bool { commits++; return commits%7 == 0 }}
				var emitter *client.Client
				for n := range processes {
					c, err := client.Build(t.Context(), "ticketing", fmt.Sprintf("process-%d", n), "nats://none",
						client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
					require.NoError(t, err)
					l, err := listener.New(c, "replica", func(ctx context.Context, e events.TicketUpdated, _ listener.Delivery) error {
						tx := transactionOf(ctx)
						tx.handled = append(tx.handled, e.Version)
						return nil
					}, listener.InVersionOrder(&process{db}), listener.Use(db.inTransaction), listener.Concurrency(4))
					require.NoError(t, err)
					ended := make(chan error, 1)
					go func() { ended <- l.Listen(context.WithoutCancel(t.Context())) }()
					<-l.Ready()
					emitter = c
					t.Cleanup(func() {
						require.NoError(t, c.Close(context.Background()))
						require.NoError(t, <-ended)
					})
				}
				var want []int64
				for v := range int64(updates) {
					publish(t, emitter, ticket(v+1))
					publish(t, emitter, ticket(v+1))
					want = append(want, v+1)
				}
				time.Sleep(10 * time.Minute)
				db.mu.Lock()
				handled, conflicts := db.handled, db.conflicts
				db.mu.Unlock()
				require.Equal(t, want, handled)
				if processes == 1 {
					require.Zero(t, conflicts)
				}
			})
		})
	}
}
