package main

import (
	"fmt"
	"sync"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
)

// journal prints what happens. It implements [platform.Journal]. That an event is
// stored is known when the server's answer is here; by then it may have been handled.
type journal struct {
	mu sync.Mutex // one line at a time
}

// tell prints what people do.
func (j *journal) tell(line string) { j.printf("\n%s", line) }

// Published prints that an event is stored.
func (j *journal) Published(by platform.Member, event events.Event) {
	j.printf("  %-12s published  %s", by.Name, describe(event))
}

// Handled prints that an event was handled.
func (j *journal) Handled(by platform.Member, event events.Event, _ listener.Delivery) {
	j.printf("  %-12s handled    %s", by.Name, describe(event))
}

func (j *journal) printf(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

// describe says what tells the events of a story apart.
func describe(event events.Event) string {
	switch e := event.(type) {
	case events.TicketUpdated:
		if e.OrderID == "" {
			return fmt.Sprintf("%s: free", e.Subject())
		}
		return fmt.Sprintf("%s: reserved for order %.4s", e.Subject(), e.OrderID)
	case events.OrderCreated:
		return fmt.Sprintf("%s: %.4s", e.Subject(), e.ID)
	case events.OrderCancelled:
		return fmt.Sprintf("%s: %.4s", e.Subject(), e.ID)
	case events.ExpirationComplete:
		return fmt.Sprintf("%s: order %.4s", e.Subject(), e.OrderID)
	case events.PaymentCreated:
		return fmt.Sprintf("%s: order %.4s", e.Subject(), e.OrderID)
	default:
		return string(event.Subject())
	}
}
