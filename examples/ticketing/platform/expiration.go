package platform

import (
	"sync"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// Expiration is the service that watches the clock. It says when the time to pay
// for an order is over, whether it was paid for or not.
type Expiration struct {
	versions *listener.MemoryVersions // how far it has come with each order

	mu       sync.Mutex
	orders   map[string]bool // known, by ID
	complete outbox[events.ExpirationComplete]
}

// NewExpiration returns the service without an order to watch.
func NewExpiration() *Expiration {
	return &Expiration{versions: listener.NewMemoryVersions(), orders: make(map[string]bool)}
}

// Name implements [Service].
func (*Expiration) Name() string { return "example-expiration" }

func (s *Expiration) parts() []part {
	return []part{on(s.orderCreated, listener.InVersionOrder(s.versions)), &s.complete}
}

func (s *Expiration) orderCreated(e events.OrderCreated) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.orders[e.ID] {
		s.orders[e.ID] = true
		s.complete.add(events.ExpirationComplete{OrderID: e.ID}, e.ExpiresAt)
	}
	return nil
}
