package platform

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/sgtickets/common/events"
)

// Tickets is the service that owns the tickets. It reserves a ticket for the
// order that comes first, and frees it when that is cancelled.
type Tickets struct {
	mu      sync.Mutex
	tickets map[string]*ticket
	created outbox[events.TicketCreated]
	updated outbox[events.TicketUpdated]
}

type ticket struct {
	now       events.TicketUpdated // as it stands: the event says all there is to say
	cancelled map[string]bool      // by the ID of the order
}

// NewTickets returns the service without a ticket.
func NewTickets() *Tickets { return &Tickets{tickets: make(map[string]*ticket)} }

// Name implements [Service].
func (*Tickets) Name() string { return "example-tickets" }

func (s *Tickets) parts() []part {
	return []part{on(s.orderCreated), on(s.orderCancelled), &s.created, &s.updated}
}

// Create puts a ticket up for sale.
func (s *Tickets) Create(title string, price float64, seller string) (ticketID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := events.TicketCreated{ID: rand.Text(), Title: title, Price: price, UserID: seller}
	s.tickets[t.ID] = &ticket{
		now:       events.TicketUpdated{ID: t.ID, Version: t.Version, Title: t.Title, Price: t.Price, UserID: t.UserID},
		cancelled: make(map[string]bool),
	}
	s.created.add(t, time.Time{})
	return t.ID
}

var errStillReserved = errors.New("the ticket is still reserved for another order, whose cancellation must be on its way")

func (s *Tickets) orderCreated(e events.OrderCreated) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[e.Ticket.ID]
	switch {
	case t == nil: // of an earlier run of the program, whose state is gone
		return nil
	case t.now.OrderID == e.ID: // it came before
		return nil
	case t.cancelled[e.ID]: // its cancellation overtook it
		return nil
	case t.now.OrderID != "":
		return errStillReserved
	}
	s.reserve(t, e.ID)
	return nil
}

func (s *Tickets) orderCancelled(e events.OrderCancelled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tickets[e.Ticket.ID]
	if t == nil {
		return nil
	}
	t.cancelled[e.ID] = true
	if t.now.OrderID == e.ID {
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
