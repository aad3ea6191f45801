package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// versions is a journal of the versions of each entity that each service handled.
type versions struct {
	mu      sync.Mutex
	handled map[string][]int64 // by the service's name and the entity's ID
}

func (*versions) Published(platform.Member, events.Event) {}

func (v *versions) Handled(by platform.Member, event events.Event, _ listener.Delivery) {
	e, ok := event.(events.Versioned)
	if !ok {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	about := by.Service.Name() + " about " + e.EntityID()
	v.handled[about] = append(v.handled[about], e.EntityVersion())
}

// are tells whether exactly these were handled.
func (v *versions) are(want map[string][]int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return assert.ObjectsAreEqual(want, v.handled)
}

// TestVersionOrderOnRealServers: what tickets and orders tell arrives doubled and out
// of order, at two members of each service; each handles every version once, in order.
func TestVersionOrderOnRealServers(t *testing.T) {
	t.Parallel()
	const entities, updates = 10, 5
	for name, option := range map[string][]client.Option{"NATS Streaming": nil, "JetStream": {client.JetStream(inMemory...)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := startServer(t).server.URL()
			open := func(id string) *client.Client {
				c, err := client.Build(deadline(t), "ticketing", id, url, append([]client.Option{quiet()}, option...)...)
				require.NoError(t, err)
				t.Cleanup(func() { closeClient(t, c) })
				return c
			}
			p, journal := platform.New(time.Minute), &versions{handled: make(map[string][]int64)}
			var members []listener.Runner
			for i, s := range []platform.Service{p.Orders, p.Payments, p.Expiration} {
				for n := range 2 {
					id := fmt.Sprintf("member-%d-%d", i, n)
					members = append(members, platform.Member{Service: s, Name: id, Client: open(id), Journal: journal})
				}
			}
			ctx, end := context.WithCancel(t.Context())
			defer end()
			ended := make(chan error, 1)
			go func() { ended <- listener.Run(ctx, members...) }()

			want := make(map[string][]int64)
			var sends []func() error
			c := open("emitter")
			for v := range int64(updates + 1) {
				for n := range entities {
					ticket, order := fmt.Sprintf("ticket-%d", n), fmt.Sprintf("order-%d", n)
					want["example-orders about "+ticket] = append(want["example-orders about "+ticket], v)
					switch v {
					case 0:
						sends = append(sends,
							sending(t, c, events.TicketCreated{ID: ticket, UserID: "Ada"}),
							sending(t, c, events.OrderCreated{
								ID: order, Status: events.OrderStatusCreated, UserID: "Bob", ExpiresAt: time.Now().Add(time.Hour),
								Ticket: events.OrderedTicket{ID: ticket},
							}))
						want["example-expiration about "+order] = []int64{0}
					case 1:
						sends = append(sends, sending(t, c, events.OrderCancelled{ID: order, Version: 1, Ticket: events.CancelledTicket{ID: ticket}}))
						want["example-payments about "+order] = []int64{0, 1}
						fallthrough
					default:
						sends = append(sends, sending(t, c, events.TicketUpdated{ID: ticket, Version: v, UserID: "Ada"}))
					}
				}
			}
			for _, send := range disordered(sends) {
				require.NoError(t, send())
			}
			require.Eventually(t, func() bool { return journal.are(want) }, time.Minute, 10*time.Millisecond)
			end()
			require.NoError(t, <-ended)
			require.True(t, journal.are(want))
		})
	}
}

func sending[T events.Event](t *testing.T, c *client.Client, e T) func() error {
	t.Helper()
	p, err := publisher.New[T](c)
	require.NoError(t, err)
	return func() error { return p.Publish(deadline(t), e) }
}

// disordered returns all of them twice, each at most a hundred places late.
func disordered[T any](all []T) []T {
	type placed struct {
		at   int
		what T
	}
	var both []placed
	for i, one := range all {
		both = append(both, placed{2*i + rand.IntN(100), one}, placed{2*i + rand.IntN(100), one})
	}
	slices.SortFunc(both, func(a, b placed) int { return a.at - b.at })
	mixed := make([]T, 0, len(both))
	for _, p := range both {
		mixed = append(mixed, p.what)
	}
	return mixed
}

// TestHistoryInVersionOrder: a new service reads a history, of one subject faster than of the
// other. What waits uses no attempts, so that nothing becomes a dead letter though two are all
// there are.
func TestHistoryInVersionOrder(t *testing.T) {
	t.Parallel()
	const tickets, updates = 80, 20
	for name, option := range map[string][]client.Option{"NATS Streaming": nil, "JetStream": {client.JetStream(inMemory...)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := client.Build(deadline(t), "ticketing", "replica", startServer(t).server.URL(), append([]client.Option{quiet()}, option...)...)
			require.NoError(t, err)
			t.Cleanup(func() { closeClient(t, c) })
			for n := range tickets {
				require.NoError(t, sending(t, c, events.TicketCreated{ID: fmt.Sprintf("t%d", n), UserID: "Ada"})())
			}
			for n := tickets - updates; n < tickets; n++ {
				require.NoError(t, sending(t, c, events.TicketUpdated{ID: fmt.Sprintf("t%d", n), Version: 1, UserID: "Ada"})())
			}
			opts := []listener.Option{listener.InVersionOrder(listener.NewMemoryVersions()), listener.MaxAttempts(2)}
			created, err := listener.New(c, "replica", func(ctx context.Context, _ events.TicketCreated, _ listener.Delivery) error {
				select { // as a database takes its time
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
				return ctx.Err()
			}, opts...)
			require.NoError(t, err)
			updated := make(chan string, updates)
			changed, err := listener.New(c, "replica", func(_ context.Context, e events.TicketUpdated, _ listener.Delivery) error {
				updated <- e.ID
				return nil
			}, opts...)
			require.NoError(t, err)
			dead := make(chan events.DeadLetter, updates)
			alert := func(_ context.Context, d events.DeadLetter, _ listener.Delivery) error {
				dead <- d
				return nil
			}
			letters, err := listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "replica", Subject: events.TicketUpdated{}.Subject()}, alert)
			require.NoError(t, err)
			ctx, end := context.WithCancel(t.Context())
			defer end()
			ended := make(chan error, 1)
			go func() { ended <- listener.Run(ctx, created, changed, letters) }()
			for range updates {
				select {
				case <-updated:
				case d := <-dead:
					t.Fatalf("dead letter: %+v", d)
				case <-time.After(time.Minute):
					t.Fatal("an update that lacks nothing was not handled")
				}
			}
			end()
			require.NoError(t, <-ended)
			require.Empty(t, dead)
		})
	}
}
