package platform

import (
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
)

// Journal is told what the members do. Its methods are called by many goroutines.
type Journal interface {
	// Published: the server has stored the event.
	Published(by Member, event events.Event)
	// Handled: the handler has done its work, and the event is about to be acknowledged.
	Handled(by Member, event events.Event, d listener.Delivery)
}
