package client

import (
	"fmt"
	"time"

	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/subjects"
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
	// EventMessagesRemoved: the server removed events before a listener saw them, by its limits
	// (of age, number or size) or on somebody's order; Removed says which, and Err what to do.
	// Each listener that finds out tells each loss once. The status stays as it is. What can be
	// known depends on the broker, see [Removed].
	EventMessagesRemoved = EventKind(transport.MessagesRemoved)
	// EventMessagesGivenUp: JetStream delivers an event no more that nobody has acknowledged: the
	// consumer's max_deliver is used up, by handlers that failed or by processes that ended. Removed
	// says which. The event is still in the stream, from where it can be published again. The server
	// tells of it once and does not store that, so that only clients that are connected at that
	// moment, and may subscribe to $JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>, get to know.
	EventMessagesGivenUp = EventKind(transport.MessagesGivenUp)
)

// Removed says which events the server removed before a listener saw them.
//
// Over NATS Streaming it is exact for a listener without a queue group: sequences of a channel
// have no gaps of their own. What a client knows of its listeners' places it knows until it
// is closed: the server tells nobody how far a durable has come, so that what was removed
// while the service was not running isn't told (the server's monitoring shows last_sent). In
// a queue group no member can know, since each has only some of the events.
//
// Over JetStream Count, First and Last are bounds (AtMost), since the stream's other subjects
// have sequences, too. It is told where the first sequence of the stream has passed the place
// of the consumer, also if that happened while the service was not running, and for queue
// groups, where each member may tell; and, by a limit of messages for each subject of two or
// more, where the next event is the oldest that the limit leaves. While a listener is busy it
// takes up to 5 s. It is not told of streams that keep messages only until they are
// acknowledged (retention interest and workqueue), of a purge while nobody listened, and of
// single messages that were deleted or had a TTL.
type Removed = transport.Removed

// What the client itself adds. The values keep clear of the transport's.
const (
	// EventComponent: a [Component] tells something; Component names it, and Text is what
	// it tells.
	EventComponent EventKind = iota + 1000
	// EventDeadLettered: a listener has given an event up, and its dead letter is stored. Reason
	// is the dead letter's, such as "exhausted", and Err why the event was given up.
	EventDeadLettered
	// EventUndecodable: a listener got an event that it can't decode, or that listener.Validate
	// refuses. Reason is "undecodable" or "invalid", and Err says why. It is told once for each
	// event and Listen. Where the listener makes dead letters, EventDeadLettered follows when
	// the event's dead letter is stored.
	EventUndecodable
)

// String returns the kind's name in words.
func (k EventKind) String() string {
	switch k { //nolint:exhaustive // the others are the transport's
	case EventComponent:
		return "component"
	case EventDeadLettered:
		return "dead-lettered"
	case EventUndecodable:
		return "undecodable"
	}
	if k >= EventDisconnected && k <= EventMessagesGivenUp {
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
	// same in both, and the Text of the [Reason] in [Status]. Of EventDeadLettered and
	// EventUndecodable it is the reason of the dead letter (events.DeadLetterReason).
	Reason string

	// Server is the URL of the server that the event is about, without secrets; of
	// EventServersDiscovered those of all new servers, separated by commas.
	Server string

	// Removed belongs to EventMessagesRemoved and EventMessagesGivenUp.
	Removed Removed

	// Component and Text belong to EventComponent: the component's name, and what it tells.
	Component string
	Text      string

	// Listener, Subject, Group and Sequence belong to EventDeadLettered and EventUndecodable:
	// the listener, as in the reasons of Status; the event's subject; the listener's queue
	// group, empty without one; and the event's sequence.
	Listener string
	Subject  subjects.Subject
	Group    string
	Sequence uint64

	// Count belongs to EventDeadLettered and EventUndecodable: how many events this one stands
	// for. It is 1, or more where the watcher was too slow to get each by itself; then Sequence
	// and Err are the last one's. All that it stands for have the same Kind, Listener, Subject,
	// Group and Reason, so that sums of Count are right.
	Count int

	// Missed is how many events this watcher was too slow to get, between the one before
	// and this one.
	Missed int
}

// eventOf returns what a transport tells as an event of the client.
func eventOf(e transport.Event) Event {
	return Event{Kind: EventKind(e.Kind), Time: e.Time, Err: e.Err, Reason: e.Reason, Server: e.Server, Removed: e.Removed}
}

// announced returns what a listener announces as an event of the client.
func announced(a session.Announcement) Event {
	kind := EventDeadLettered
	if a.Kind == session.Undecodable {
		kind = EventUndecodable
	}
	return Event{
		Kind: kind, Time: time.Now(), Err: a.Err, Reason: a.Reason,
		Listener: a.Listener, Subject: subjects.Subject(a.Subject), Group: a.Group, Sequence: a.Sequence, Count: 1,
	}
}
