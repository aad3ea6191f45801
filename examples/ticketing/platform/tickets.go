package platform

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// Tickets is the service that owns the tickets. It reserves a ticket for the
// order that comes first, and when that is cancelled for the next, or frees it.
type Tickets struct {
	versions *listener.MemoryVersions // how far it has come with each order

	mu      sync.Mutex
	tickets map[string]*ticket
	created outbox[events.TicketCreated]
	updated outbox[events.TicketUpdated]
}

type ticket struct {
	now     events.TicketUpdated // as it stands: the event says all there is to say
	waiting []string             // orders that came while it was reserved, by ID
}

// NewTickets returns the service without a ticket.
func NewTickets() *Tickets {
	return &Tickets{versions: listener.NewMemoryVersions(), tickets: make(map[string]*ticket)}
}

// Name implements [Service].
func (*Tickets) Name() string { return "example-tickets" }

func (s *Tickets) parts() []part {
	inOrder := listener.InVersionOrder(s.versions)
	return []part{on(s.orderCreated, inOrder), on(s.orderCancelled, inOrder), &s.created, &s.updated}
}

// Create puts a ticket up for sale.
func (s *Tickets) Create(title string, price float64, seller string) (ticketID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := events.TicketCreated{ID: rand.Text(), Title: title, Price: price, UserID: seller}
	s.tickets[t.ID] = &ticket{
		now: events.TicketUpdated{ID: t.ID, Version: t.Version, Title: t.Title, Price: t.Price, UserID: t.UserID},
	}
	s.created.add(t, time.Time{})
	return t.ID
}

func (s *Tickets) orderCreated(e events.OrderCreated) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[e.Ticket.ID]
	switch {
	case t == nil: // of an earlier run of the program, whose state is gone
	case t.now.OrderID == "":
		s.reserve(t, e.ID)
	case t.now.OrderID == e.ID, slices.Contains(t.waiting, e.ID): // it came before
	default: // the cancellation of the order that has it must be on its way
		t.waiting = append(t.waiting, e.ID)
	}
	return nil
}

func (s *Tickets) orderCancelled(e events.OrderCancelled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[e.Ticket.ID]
	switch {
	case t == nil:
	case t.now.OrderID != e.ID:
		t.waiting = slices.DeleteFunc(t.waiting, func(orderID string) bool { return orderID == e.ID })
	case len(t.waiting) > 0:
		next := t.waiting[0]
		t.waiting = t.waiting[1:]
		s.reserve(t, next)
	default:
		s.reserve(t, "")
	}
	return nil
}

// reserve reserves the ticket for an order, or frees it.
func (s *Tickets) reserve(t *ticket, orderID string) {
	t.now.OrderID = orderID
	t.now.Version++
	s.updated.add(t.now, time.Time{})
}
