package platform

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// What may keep someone from a ticket.
var (
	ErrNoTicket = errors.New("no such ticket, or not heard of it yet")
	ErrReserved = errors.New("the ticket is reserved")
)

// Orders is the service that takes orders. It keeps a replica of the tickets, so
// that it need not ask the tickets service, and cancels what is not paid for in
// time.
type Orders struct {
	window   time.Duration            // to pay
	versions *listener.MemoryVersions // how far it has come with each ticket

	mu        sync.Mutex
	tickets   map[string]events.TicketUpdated // the replica, by the ticket's ID
	orders    map[string]*events.OrderCreated // as they stand
	taken     map[string]bool                 // the tickets, by ID, with an order that is not cancelled
	created   outbox[events.OrderCreated]
	cancelled outbox[events.OrderCancelled]
}

// NewOrders returns the service without an order.
func NewOrders(window time.Duration) *Orders {
	return &Orders{
		window:   window,
		versions: listener.NewMemoryVersions(),
		tickets:  make(map[string]events.TicketUpdated),
		orders:   make(map[string]*events.OrderCreated),
		taken:    make(map[string]bool),
	}
}

// Name implements [Service].
func (*Orders) Name() string { return "example-orders" }

func (s *Orders) parts() []part {
	inOrder := listener.InVersionOrder(s.versions)
	return []part{
		on(s.ticketCreated, inOrder), on(s.ticketUpdated, inOrder), on(s.expirationComplete), on(s.paymentCreated),
		&s.created, &s.cancelled,
	}
}

// Place orders a ticket.
func (s *Orders) Place(ticketID, buyer string) (orderID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tickets[ticketID]
	switch {
	case !ok:
		return "", ErrNoTicket
	case s.taken[ticketID], t.OrderID != "":
		return "", ErrReserved
	}
	o := events.OrderCreated{
		ID: rand.Text(), Status: events.OrderStatusCreated, UserID: buyer, ExpiresAt: time.Now().Add(s.window),
		Ticket: events.OrderedTicket{ID: t.ID, Price: t.Price},
	}
	s.orders[o.ID] = &o
	s.taken[ticketID] = true
	s.created.add(o, time.Time{})
	return o.ID, nil
}

// Status returns how far an order has come; empty if there is none.
func (s *Orders) Status(orderID string) events.OrderStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.orders[orderID]; o != nil {
		return o.Status
	}
	return ""
}

func (s *Orders) ticketCreated(e events.TicketCreated) error {
	return s.ticketUpdated(events.TicketUpdated{ID: e.ID, Version: e.Version, Title: e.Title, Price: e.Price, UserID: e.UserID})
}

func (s *Orders) ticketUpdated(e events.TicketUpdated) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tickets[e.ID] = e
	return nil
}

func (s *Orders) expirationComplete(e events.ExpirationComplete) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[e.OrderID]
	if o == nil || o.Status != events.OrderStatusCreated { // paid for, or it came before
		return nil
	}
	o.Status = events.OrderStatusCancelled
	o.Version++
	delete(s.taken, o.Ticket.ID)
	s.cancelled.add(events.OrderCancelled{ID: o.ID, Version: o.Version, Ticket: events.CancelledTicket{ID: o.Ticket.ID}}, time.Time{})
	return nil
}

func (s *Orders) paymentCreated(e events.PaymentCreated) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[e.OrderID]
	if o == nil || o.Status != events.OrderStatusCreated { // it came before; or too late, and is to be paid back
		return nil
	}
	o.Status = events.OrderStatusComplete
	o.Version++
	return nil
}
