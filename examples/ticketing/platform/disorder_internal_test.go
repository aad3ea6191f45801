package platform

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/memory"
)

// versions is a journal of the order in which each service handled the events of
// each entity.
type versions struct {
	mu      sync.Mutex
	handled map[string][]int64
}

func (*versions) Published(Member, events.Event) {}

func (v *versions) Handled(by Member, event events.Event, _ listener.Delivery) {
	e, ok := event.(events.Versioned)
	if !ok {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	about := by.Service.Name() + " about " + e.EntityID()
	v.handled[about] = append(v.handled[about], e.EntityVersion())
}

// open makes two members of each service listen, each with a client of its own.
func open(t *testing.T, p *Platform, j Journal, broker *memory.Broker) (end func()) {
	t.Helper()
	var members []listener.Runner
	var clients []*client.Client
	for _, s := range p.Services() {
		for n := range 2 {
			name := fmt.Sprintf("%s-%d", s.Name(), n+1)
			c, err := client.Build(t.Context(), "ticketing", name, "nats://none",
				client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
			require.NoError(t, err)
			clients = append(clients, c)
			members = append(members, Member{Service: s, Name: name, Client: c, Journal: j})
		}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- listener.Run(ctx, members...) }()
	return func() {
		stop()
		require.NoError(t, <-ended)
		for _, c := range clients {
			require.NoError(t, c.Close(context.WithoutCancel(t.Context())))
		}
	}
}

// disturb makes events be doubled, late and out of order, until ctx is done.
func disturb(ctx context.Context, broker *memory.Broker, random *rand.Rand) {
	for ctx.Err() == nil {
		switch random.IntN(3) {
		case 0:
			broker.DuplicateNext()
		case 1:
			broker.DelayNext(time.Duration(random.IntN(500)) * time.Millisecond)
		default:
			broker.DeliverOutOfOrder(string(subjects.All()[random.IntN(len(subjects.All()))]))
		}
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
	}
}

// TestServicesAgreeWhateverComes: the stories of many tickets, whose events come
// doubled, late and out of order. In the end all services hold the same of each
// ticket and order, and each has handled every version once, in order.
func TestServicesAgreeWhateverComes(t *testing.T) {
	t.Parallel()
	const stories = 10
	for name, kind := range map[string]memory.Option{"NATS Streaming": memory.NATSStreaming(), "JetStream": memory.JetStream()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) {
				broker := memory.New(kind)
				p, journal := New(time.Second), &versions{handled: make(map[string][]int64)}
				end := open(t, p, journal, broker)

				ctx, calm := context.WithCancel(t.Context())
				go disturb(ctx, broker, rand.New(rand.NewPCG(seed, 0)))
				var told sync.WaitGroup
				for n := range stories {
					told.Go(func() { assert.NoError(t, p.Story(t.Context(), fmt.Sprintf("concert %d", n), func(string) {})) })
				}
				told.Wait()
				calm()
				time.Sleep(30 * time.Second)
				due, later := p.Unpublished()
				require.Zero(t, due+later)
				end()

				require.Len(t, p.Tickets.tickets, stories)
				for id, ticket := range p.Tickets.tickets {
					require.Equal(t, ticket.now, p.Orders.tickets[id])
					require.Empty(t, ticket.waiting)
					sold := p.Orders.orders[ticket.now.OrderID]
					require.NotNil(t, sold)
					require.Equal(t, events.OrderStatusComplete, sold.Status)
				}
				for id, order := range p.Orders.orders {
					require.Equal(t, order.Status, p.Payments.orders[id])
					require.True(t, p.Expiration.orders[id])
				}
				for about, handled := range journal.handled {
					for i, version := range handled {
						require.EqualValues(t, i, version, "%s: %v", about, handled)
					}
				}
			})
		})
	}
}
