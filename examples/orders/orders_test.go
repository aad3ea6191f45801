package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/publisher"
)

var concert = events.TicketCreated{ID: "t1", Title: "concert", Price: 20, UserID: "Eve"}

// newOrders returns the service on a broker of the test's own.
func newOrders(t *testing.T, store Store) (*eventtest.Bus, *Orders) {
	t.Helper()
	bus := eventtest.New(t)
	orders, err := NewOrders(bus.Client(), store)
	require.NoError(t, err)
	return bus, orders
}

// An action publishes its event. In a bubble the clock stands still, so that even
// the times are known.
func TestPlacePublishesTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, orders := newOrders(t, &Memory{})
		eventtest.Deliver(t, bus, orders.Tickets, concert)

		require.NoError(t, orders.Place(t.Context(), "o1", "t1", "Ada"))

		order := eventtest.RequirePublished(t, bus, func(e events.OrderCreated) bool { return e.ID == "o1" })
		require.Equal(t, events.OrderedTicket{ID: "t1", Price: 20}, order.Ticket)
		require.True(t, time.Now().Add(15*time.Minute).Equal(order.ExpiresAt))
	})
}

// What fails publishes nothing.
func TestPlaceWithoutATicketPublishesNothing(t *testing.T) {
	t.Parallel()
	bus, orders := newOrders(t, &Memory{})

	require.ErrorIs(t, orders.Place(t.Context(), "o1", "t1", "Ada"), ErrNotFound)

	eventtest.RequireNotPublished[events.OrderCreated](t, bus, nil)
}

// The broker fails on demand, too: here the next publish. And an hour of a bubble's
// time passes at once.
func TestPlaceAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, orders := newOrders(t, &Memory{})
		eventtest.Deliver(t, bus, orders.Tickets, concert)
		began := time.Now()

		bus.Broker().RefuseNext()
		require.ErrorIs(t, orders.Place(t.Context(), "o1", "t1", "Ada"), publisher.ErrNotStored)
		time.Sleep(time.Hour)
		require.NoError(t, orders.Place(t.Context(), "o1", "t1", "Ada"))

		published := eventtest.Published[events.OrderCreated](bus)
		require.Len(t, published, 1)
		require.True(t, began.Add(timeToPay).Equal(published[0].ExpiresAt), "it is the same order")
	})
}

// An event that is handled is acknowledged.
func TestTicketIsKept(t *testing.T) {
	t.Parallel()
	store := &Memory{}
	bus, orders := newOrders(t, store)

	outcome := eventtest.Deliver(t, bus, orders.Tickets, concert)

	require.Equal(t, eventtest.Acknowledged, outcome.Kind, outcome)
	kept, err := store.Ticket(t.Context(), "t1")
	require.NoError(t, err)
	require.Equal(t, concert, kept)
}

// brokenStore is a store whose database is away.
type brokenStore struct{ Memory }

var errAway = errors.New("database is away")

func (*brokenStore) SaveTicket(context.Context, events.TicketCreated) error { return errAway }

// An event that can't be handled now comes again.
func TestTicketComesAgainWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	bus, orders := newOrders(t, &brokenStore{})

	outcome := eventtest.Deliver(t, bus, orders.Tickets, concert)

	require.Equal(t, eventtest.Retried, outcome.Kind, outcome)
	require.ErrorIs(t, outcome.Err, errAway)
	require.Equal(t, 100*time.Millisecond, outcome.RetryIn)
}

// What another service wrote wrongly does not stop the others: it is kept as a dead
// letter.
func TestTicketThatCanNotBeReadIsADeadLetter(t *testing.T) {
	t.Parallel()
	bus, orders := newOrders(t, &Memory{})

	eventtest.DeliverPayload(t, bus, orders.Tickets, []byte(`{"id":7}`))

	dead := eventtest.RequireDeadLettered[events.TicketCreated](t, bus, nil)
	require.Equal(t, events.DeadLetterUndecodable, dead.Reason, dead.Error)
	require.Equal(t, queueGroup, dead.Group)
}

// So is an event that fails again and again. Here the listener listens for the length of the
// test, and the event comes from the broker as in production: its 20 attempts take more than
// a minute, which is nothing in a bubble.
func TestTicketIsGivenUpWhenTheStoreStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, orders := newOrders(t, &brokenStore{})
		tickets, err := publisher.New[events.TicketCreated](bus.Client())
		require.NoError(t, err)
		eventtest.Listen(t, orders.Tickets)

		require.NoError(t, tickets.Publish(t.Context(), concert))

		dead := eventtest.RequireDeadLettered[events.TicketCreated](t, bus, nil)
		require.Equal(t, events.DeadLetterExhausted, dead.Reason)
		require.Equal(t, errAway.Error(), dead.Error)
	})
}

// An event that comes twice has the effect of one: on the store, and on what is
// published.
func TestOrderExpiresOnce(t *testing.T) {
	t.Parallel()
	store := &Memory{}
	bus, orders := newOrders(t, store)
	eventtest.Deliver(t, bus, orders.Tickets, concert)
	require.NoError(t, orders.Place(t.Context(), "o1", "t1", "Ada"))

	eventtest.RequireIdempotent(t, bus, orders.Expirations, events.ExpirationComplete{OrderID: "o1"}, func() any {
		order, err := store.Order(t.Context(), "o1")
		require.NoError(t, err)
		return map[string]any{"order": order, "cancelled": eventtest.Published[events.OrderCancelled](bus)}
	})

	cancelled := eventtest.RequirePublished[events.OrderCancelled](t, bus, nil)
	require.Equal(t, events.OrderCancelled{ID: "o1", Version: 1, Ticket: events.CancelledTicket{ID: "t1"}}, cancelled)
}

func TestExpirationOfAnUnknownOrderIsDone(t *testing.T) {
	t.Parallel()
	bus, orders := newOrders(t, &Memory{})

	outcome := eventtest.Deliver(t, bus, orders.Expirations, events.ExpirationComplete{OrderID: "somebody else's"})

	require.Equal(t, eventtest.Acknowledged, outcome.Kind, outcome)
	eventtest.RequireNotPublished[events.OrderCancelled](t, bus, nil)
}

// The service as a whole is tested the same way, from its outermost call on.
func TestWeb(t *testing.T) {
	t.Parallel()
	bus, orders := newOrders(t, &Memory{})
	post := func() int {
		answer := httptest.NewRecorder()
		web{orders: orders}.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/orders?id=o1&ticket=t1&buyer=Ada", http.NoBody))
		return answer.Code
	}
	require.Equal(t, http.StatusNotFound, post())
	eventtest.Deliver(t, bus, orders.Tickets, concert)
	require.Equal(t, http.StatusCreated, post())
	eventtest.RequirePublished(t, bus, func(e events.OrderCreated) bool { return e.UserID == "Ada" })
	bus.Broker().RefuseNext()
	require.Equal(t, http.StatusServiceUnavailable, post())
}
