package main

import (
	"context"
	"errors"
	"sync"

	"github.com/sgtickets/common/events"
)

// ErrNotFound means that the store has no such ticket or order.
var ErrNotFound = errors.New("not found")

// Store is what the service needs of its database.
type Store interface {
	SaveTicket(ctx context.Context, t events.TicketCreated) error
	Ticket(ctx context.Context, id string) (events.TicketCreated, error)
	// AddOrder returns the order of that ID: o, or the one that was there before.
	AddOrder(ctx context.Context, o events.OrderCreated) (events.OrderCreated, error)
	SaveOrder(ctx context.Context, o events.OrderCreated) error
	Order(ctx context.Context, id string) (events.OrderCreated, error)
}

// Memory is a store that lasts as long as the process, which is enough for an
// example. The zero value is empty.
type Memory struct {
	mu      sync.Mutex
	tickets map[string]events.TicketCreated
	orders  map[string]events.OrderCreated
}

// SaveTicket implements Store.
func (m *Memory) SaveTicket(_ context.Context, t events.TicketCreated) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tickets == nil {
		m.tickets = make(map[string]events.TicketCreated)
	}
	m.tickets[t.ID] = t
	return nil
}

// Ticket implements Store.
func (m *Memory) Ticket(_ context.Context, id string) (events.TicketCreated, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.tickets[id]; ok {
		return t, nil
	}
	return events.TicketCreated{}, ErrNotFound
}

// AddOrder implements Store.
func (m *Memory) AddOrder(_ context.Context, o events.OrderCreated) (events.OrderCreated, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, ok := m.orders[o.ID]; ok {
		return before, nil
	}
	m.put(o)
	return o, nil
}

// SaveOrder implements Store.
func (m *Memory) SaveOrder(_ context.Context, o events.OrderCreated) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(o)
	return nil
}

func (m *Memory) put(o events.OrderCreated) {
	if m.orders == nil {
		m.orders = make(map[string]events.OrderCreated)
	}
	m.orders[o.ID] = o
}

// Order implements Store.
func (m *Memory) Order(_ context.Context, id string) (events.OrderCreated, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.orders[id]; ok {
		return o, nil
	}
	return events.OrderCreated{}, ErrNotFound
}
