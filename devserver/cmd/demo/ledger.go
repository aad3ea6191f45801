package main

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

// audience says which queue groups have to handle the events of a subject. It is
// written down here, and not taken from the services, so that a service that
// forgot to listen would be found out.
var audience = map[subjects.Subject][]string{
	subjects.TicketCreated:      {"example-orders"},
	subjects.TicketUpdated:      {"example-orders"},
	subjects.OrderCreated:       {"example-tickets", "example-expiration", "example-payments"},
	subjects.OrderCancelled:     {"example-tickets", "example-payments"},
	subjects.ExpirationComplete: {"example-orders"},
	subjects.PaymentCreated:     {"example-orders"},
}

// identity tells events apart. An event that is published again, or delivered
// again, is the same event.
type identity struct {
	subject subjects.Subject
	id      string
	version int64
}

func identify(event events.Event) identity {
	switch e := event.(type) {
	case events.TicketCreated:
		return identity{e.Subject(), e.ID, e.Version}
	case events.TicketUpdated:
		return identity{e.Subject(), e.ID, e.Version}
	case events.OrderCreated:
		return identity{e.Subject(), e.ID, e.Version}
	case events.OrderCancelled:
		return identity{e.Subject(), e.ID, e.Version}
	case events.ExpirationComplete:
		return identity{e.Subject(), e.OrderID, 0}
	case events.PaymentCreated:
		return identity{e.Subject(), e.ID, 0}
	default:
		panic(fmt.Sprintf("the demo does not know events of type %T", event))
	}
}

func (i identity) String() string { return fmt.Sprintf("%s %s v%d", i.subject, i.id, i.version) }

// ledger keeps account of every event. It implements [platform.Journal].
type ledger struct {
	mu      sync.Mutex
	groups  map[identity][]string // those that have handled it, of every event published
	handled int                   // events that all their groups have handled
	doubles int                   // times that a group got an event again
}

func newLedger() *ledger { return &ledger{groups: make(map[identity][]string)} }

// Published enters an event that the server has stored.
func (l *ledger) Published(_ platform.Member, event events.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := identify(event)
	if _, known := l.groups[id]; !known {
		l.groups[id] = nil
	}
}

// Handled enters an event that a group has handled. What was handled was stored,
// even if the confirmation never came.
func (l *ledger) Handled(by platform.Member, event events.Event, _ listener.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, group := identify(event), by.Service.Name()
	if slices.Contains(l.groups[id], group) {
		l.doubles++
		return
	}
	l.groups[id] = append(l.groups[id], group)
	if len(l.missing(id)) == 0 {
		l.handled++
	}
}

// missing returns the groups that have yet to handle an event. l is locked.
func (l *ledger) missing(id identity) []string {
	var missing []string
	for _, group := range audience[id.subject] {
		if !slices.Contains(l.groups[id], group) {
			missing = append(missing, group)
		}
	}
	return missing
}

// tally is the ledger's sum.
type tally struct {
	published, handled, doubles int
}

// lost is what is not handled: at the end. Before, it is under way.
func (t tally) lost() int { return t.published - t.handled }

func (l *ledger) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tally{published: len(l.groups), handled: l.handled, doubles: l.doubles}
}

// open returns the events that some of their groups have not handled, with those
// groups.
func (l *ledger) open() map[identity][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := make(map[identity][]string)
	for id := range l.groups {
		if missing := l.missing(id); len(missing) > 0 {
			open[id] = missing
		}
	}
	return open
}
