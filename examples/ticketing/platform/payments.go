package platform

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// What may keep someone from paying.
var (
	ErrNoOrder   = errors.New("no such order, or not heard of it yet")
	ErrCancelled = errors.New("the order is cancelled")
)

// Payments is the service that takes the money, unless the order is cancelled.
type Payments struct {
	versions *listener.MemoryVersions // how far it has come with each order

	mu      sync.Mutex
	orders  map[string]events.OrderStatus // by ID
	created outbox[events.PaymentCreated]
}

// NewPayments returns the service without an order to pay for.
func NewPayments() *Payments {
	return &Payments{versions: listener.NewMemoryVersions(), orders: make(map[string]events.OrderStatus)}
}

// Name implements [Service].
func (*Payments) Name() string { return "example-payments" }

func (s *Payments) parts() []part {
	inOrder := listener.InVersionOrder(s.versions)
	return []part{on(s.orderCreated, inOrder), on(s.orderCancelled, inOrder), &s.created}
}

// Pay pays for an order. Paying again is no error and takes no money.
func (s *Payments) Pay(orderID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.orders[orderID] {
	case "":
		return ErrNoOrder
	case events.OrderStatusCancelled:
		return ErrCancelled
	case events.OrderStatusComplete:
		return nil
	case events.OrderStatusCreated, events.OrderStatusAwaitingPayment: // to be paid for
	}
	s.orders[orderID] = events.OrderStatusComplete
	s.created.add(events.PaymentCreated{ID: rand.Text(), OrderID: orderID, StripeID: "ch_" + rand.Text()}, time.Time{})
	return nil
}

func (s *Payments) orderCreated(e events.OrderCreated) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders[e.ID] == "" { // else it came before
		s.orders[e.ID] = e.Status
	}
	return nil
}

func (s *Payments) orderCancelled(e events.OrderCancelled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[e.ID] = events.OrderStatusCancelled
	return nil
}
