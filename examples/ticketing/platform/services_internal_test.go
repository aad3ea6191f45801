package platform

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
)

// published empties the outbox and returns what was due.
func published[T events.Event](o *outbox[T]) []T {
	var all []T
	for _, l := range o.take(1000) {
		o.stored()
		all = append(all, l.event)
	}
	return all
}

func orderOf(ticketID, orderID string) events.OrderCreated {
	return events.OrderCreated{ID: orderID, Status: events.OrderStatusCreated, Ticket: events.OrderedTicket{ID: ticketID}}
}

func cancelOf(ticketID, orderID string) events.OrderCancelled {
	return events.OrderCancelled{ID: orderID, Version: 1, Ticket: events.CancelledTicket{ID: ticketID}}
}

func TestTicketIsReservedOnceAndFreedOnce(t *testing.T) {
	s := NewTickets()
	id := s.Create("concert", 20, "Ada")
	require.Equal(t, []events.TicketCreated{{ID: id, Title: "concert", Price: 20, UserID: "Ada"}}, published(&s.created))

	for range 2 {
		require.NoError(t, s.orderCreated(orderOf(id, "o1")))
	}
	for range 2 {
		require.NoError(t, s.orderCancelled(cancelOf(id, "o1")))
	}
	assert.Equal(t, []events.TicketUpdated{
		{ID: id, Version: 1, Title: "concert", Price: 20, UserID: "Ada", OrderID: "o1"},
		{ID: id, Version: 2, Title: "concert", Price: 20, UserID: "Ada"},
	}, published(&s.updated))
}

func TestOrdersOfOneTicketComeOneAfterAnother(t *testing.T) {
	s := NewTickets()
	id := s.Create("concert", 20, "Ada")
	for _, order := range []string{"o1", "o2", "o3", "o3"} {
		require.NoError(t, s.orderCreated(orderOf(id, order)))
	}
	require.NoError(t, s.orderCancelled(cancelOf(id, "o2")), "which waits")
	for range 2 {
		require.NoError(t, s.orderCancelled(cancelOf(id, "o1")))
	}
	updates := published(&s.updated)
	require.Len(t, updates, 2)
	assert.Equal(t, "o3", updates[1].OrderID)
	require.NoError(t, s.orderCancelled(cancelOf(id, "o3")))
	assert.Equal(t, []events.TicketUpdated{{ID: id, Version: 3, Title: "concert", Price: 20, UserID: "Ada"}}, published(&s.updated))
}

func TestEventsOfAnEarlierRunAreLeft(t *testing.T) {
	p := New(time.Minute)
	require.NoError(t, p.Tickets.orderCreated(orderOf("t0", "o0")))
	require.NoError(t, p.Tickets.orderCancelled(cancelOf("t0", "o0")))
	require.NoError(t, p.Orders.expirationComplete(events.ExpirationComplete{OrderID: "o0"}))
	require.NoError(t, p.Orders.paymentCreated(events.PaymentCreated{ID: "p0", OrderID: "o0"}))
	due, later := p.Unpublished()
	assert.Zero(t, due+later)
}

func TestOrdersGoByTheReplica(t *testing.T) {
	s := NewOrders(time.Minute)
	_, err := s.Place("t", "Bob")
	require.ErrorIs(t, err, ErrNoTicket)
	require.NoError(t, s.ticketCreated(events.TicketCreated{ID: "t", Title: "concert"}))
	require.NoError(t, s.ticketUpdated(events.TicketUpdated{ID: "t", Version: 1, OrderID: "o"}))
	_, err = s.Place("t", "Bob")
	require.ErrorIs(t, err, ErrReserved)
	free := events.TicketUpdated{ID: "t", Version: 2, Title: "concert, moved"}
	require.NoError(t, s.ticketUpdated(free))
	assert.Equal(t, free, s.tickets["t"])
	_, err = s.Place("t", "Bob")
	require.NoError(t, err)
	_, err = s.Place("t", "Eve")
	require.ErrorIs(t, err, ErrReserved)
}

func TestOrderEndsOnce(t *testing.T) {
	expire := func(s *Orders, id string) {
		require.NoError(t, s.expirationComplete(events.ExpirationComplete{OrderID: id}))
	}
	pay := func(s *Orders, id string) {
		require.NoError(t, s.paymentCreated(events.PaymentCreated{ID: "p", OrderID: id}))
	}
	for _, tc := range []struct {
		name      string
		end       func(s *Orders, id string)
		status    events.OrderStatus
		cancelled int
	}{
		{"expired twice", func(s *Orders, id string) { expire(s, id); expire(s, id) }, events.OrderStatusCancelled, 1},
		{"paid twice, then expired", func(s *Orders, id string) { pay(s, id); pay(s, id); expire(s, id) }, events.OrderStatusComplete, 0},
		{"paid too late", func(s *Orders, id string) { expire(s, id); pay(s, id) }, events.OrderStatusCancelled, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewOrders(time.Minute)
			require.NoError(t, s.ticketCreated(events.TicketCreated{ID: "t"}))
			id, err := s.Place("t", "Bob")
			require.NoError(t, err)
			tc.end(s, id)
			assert.Equal(t, tc.status, s.Status(id))
			assert.Len(t, published(&s.cancelled), tc.cancelled)
			assert.Len(t, published(&s.created), 1)
		})
	}
}

func TestOrderExpiresOnceAndNotBeforeItsTime(t *testing.T) {
	s := NewExpiration()
	soon := orderOf("t", "o1")
	soon.ExpiresAt = time.Now().Add(time.Hour)
	past := orderOf("t", "o2")
	past.ExpiresAt = time.Now().Add(-time.Hour)
	for range 2 {
		require.NoError(t, s.orderCreated(soon))
		require.NoError(t, s.orderCreated(past))
	}
	assert.Equal(t, []events.ExpirationComplete{{OrderID: "o2"}}, published(&s.complete))
	due, later := s.complete.content()
	assert.Zero(t, due)
	assert.Equal(t, 1, later)
}

func TestMoneyIsTakenOnceAndForLivingOrdersOnly(t *testing.T) {
	s := NewPayments()
	require.ErrorIs(t, s.Pay("o1"), ErrNoOrder)
	require.NoError(t, s.orderCreated(orderOf("t", "o1")))
	require.NoError(t, s.Pay("o1"))
	require.NoError(t, s.orderCreated(orderOf("t", "o1")))
	require.NoError(t, s.Pay("o1"))
	assert.Len(t, published(&s.created), 1)

	require.NoError(t, s.orderCreated(orderOf("t", "o2")))
	require.NoError(t, s.orderCancelled(cancelOf("t", "o2")))
	require.NoError(t, s.orderCreated(orderOf("t", "o2")), "once more")
	require.ErrorIs(t, s.Pay("o2"), ErrCancelled)
	assert.Empty(t, published(&s.created))
}

func TestOutboxKeepsWhatWasNotStored(t *testing.T) {
	var o outbox[events.ExpirationComplete]
	for _, id := range []string{"o1", "o2"} {
		o.add(events.ExpirationComplete{OrderID: id}, time.Time{})
	}
	taken := o.take(1)
	require.Len(t, taken, 1)
	due, _ := o.content()
	assert.Equal(t, 2, due, "one that is under way is not published yet")
	o.putBack(taken[0])
	assert.ElementsMatch(t, []events.ExpirationComplete{{OrderID: "o1"}, {OrderID: "o2"}}, published(&o))
	due, _ = o.content()
	assert.Zero(t, due)
}
