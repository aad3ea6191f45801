package client

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/transport"
)

// EventKind says what an [Event] tells of. Later versions may add kinds.
type EventKind int

// What happens to the connection of a client. Their values are those of package transport.
const (
	// EventDisconnected: the link to the server is gone. The client restores it by itself.
	EventDisconnected = EventKind(transport.Disconnected)
	// EventReconnected: the link is back, and the client goes on where it was.
	EventReconnected = EventKind(transport.Reconnected)
	// EventSessionReplaced: the server had given the client up, and the client has begun a
	// new session. Only NATS Streaming has sessions.
	EventSessionReplaced = EventKind(transport.SessionReplaced)
	// EventStoreLost: the server came back without the events that it had stored. Each
	// listener that finds out may tell it.
	EventStoreLost = EventKind(transport.StoreLost)
	// EventServersDiscovered: the cluster named servers that the client did not know.
	EventServersDiscovered = EventKind(transport.ServersDiscovered)
	// EventLameDuck: the server is about to shut down.
	EventLameDuck = EventKind(transport.LameDuck)
	// EventSlowConsumer: nats.go dropped messages of a subscription, since they were not taken
	// fast enough; Err names the limit. The library's own subscriptions have none, so that no
	// event is dropped.
	EventSlowConsumer = EventKind(transport.SlowConsumer)
	// EventAsyncError: the server reported an error that belongs to no call.
	EventAsyncError = EventKind(transport.AsyncError)
	// EventDegraded: something does not work while the rest does; Reason says what.
	EventDegraded = EventKind(transport.Degraded)
	// EventRecovered: what Reason says works again, or, if Err is not nil, what reported it
	// has ended.
	EventRecovered = EventKind(transport.Recovered)
	// EventClosed: the client is over. Err is nil after Close. It is the last event.
	EventClosed = EventKind(transport.Closed)
)

// What the client itself adds. The values keep clear of the transport's.
const (
	// EventComponent: a [Component] tells something; Component names it, and Text is what
	// it tells.
	EventComponent EventKind = iota + 1000
)

// String returns the kind's name in words.
func (k EventKind) String() string {
	if k == EventComponent {
		return "component"
	}
	if k >= EventDisconnected && k <= EventClosed {
		return transport.EventKind(k).String()
	}
	return fmt.Sprintf("EventKind(%d)", int(k))
}

// Event is something that happened to a client. Fields that don't belong to its Kind are
// zero. Later versions may add fields.
type Event struct {
	Kind EventKind
	Time time.Time // when it happened

	// Err says why, where that is known; else nil.
	Err error

	// Reason belongs to EventDegraded and EventRecovered: what does not work, in words, the
	// same in both, and the Text of the [Reason] in [Status].
	Reason string

	// Server is the URL of the server that the event is about, without secrets; of
	// EventServersDiscovered those of all new servers, separated by commas.
	Server string

	// Component and Text belong to EventComponent: the component's name, and what it tells.
	Component string
	Text      string

	// Missed is how many events this watcher was too slow to get, between the one before
	// and this one.
	Missed int
}

// eventOf returns what a transport tells as an event of the client.
func eventOf(e transport.Event) Event {
	return Event{Kind: EventKind(e.Kind), Time: e.Time, Err: e.Err, Reason: e.Reason, Server: e.Server}
}
