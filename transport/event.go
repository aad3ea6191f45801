package transport

import (
	"fmt"
	"strconv"
	"time"
)

// EventKind tells the events of a connection apart.
type EventKind int

// What happens to a connection.
const (
	// Disconnected: the link to the server is gone, and is being restored.
	Disconnected EventKind = iota + 1
	// Reconnected: the link is back, and what was going on goes on.
	Reconnected
	// SessionReplaced: the server had given the client up, and a new session has
	// taken the place of the old one. Only NATS Streaming has sessions.
	SessionReplaced
	// StoreLost: the server came back without what it had stored. Each subscription
	// that finds out may tell.
	StoreLost
	// ServersDiscovered: the cluster told of servers that were not known.
	ServersDiscovered
	// LameDuck: the server is about to shut down.
	LameDuck
	// SlowConsumer: messages were dropped, since they were not taken fast enough; Err names
	// the limit. Events are not among them: what waits here is bounded by what was asked for.
	SlowConsumer
	// AsyncError: the server reported an error that belongs to no call.
	AsyncError
	// Degraded: the connection works, but not all of it; Reason says what does not.
	// It may be told again as long as that is so.
	Degraded
	// Recovered: what Reason said is over, or, if Err is not nil, nobody reports it any more.
	Recovered
	// Closed: the connection is over. Err is nil after Close.
	Closed
	// MessagesRemoved: the server removed messages before a subscription had them; Removed
	// says which. Each loss is told once by each subscription that finds out.
	MessagesRemoved
	// MessagesGivenUp: the server delivers messages no more that nobody has acknowledged, since it
	// has delivered them as often as it may; Removed says which. They are still stored. Each
	// subscription of the group that the server tells of it tells it.
	MessagesGivenUp
)

var eventNames = [...]string{
	Disconnected: "disconnected", Reconnected: "reconnected", SessionReplaced: "session replaced", StoreLost: "store lost",
	ServersDiscovered: "servers discovered", LameDuck: "lame duck", SlowConsumer: "slow consumer", AsyncError: "asynchronous error",
	Degraded: "degraded", Recovered: "recovered", Closed: "closed",
	MessagesRemoved: "messages removed", MessagesGivenUp: "messages given up",
}

// String returns the kind's name in words.
func (k EventKind) String() string {
	if k >= 1 && int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", int(k))
}

// Event is something that happened to a connection.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Err    error  // why, where there is an error
	Reason string // of Degraded and Recovered: the same text for both
	Server string // URL of the server that it is about, without secrets, where it is about one

	Removed Removed // of MessagesRemoved and MessagesGivenUp
}

// Removed says which messages the server removed before a subscription had them, by its own
// limits or on somebody's order, or which it has given up.
type Removed struct {
	Subject string // of the subscription
	Group   string // its queue group, where it has one
	Durable string // its durable name, where it has one
	First   uint64 // the lowest sequence that is missing
	Last    uint64 // the highest
	Count   uint64 // how many are missing between the two, both included
	AtMost  bool   // Count is an upper bound: some may be of other subjects
}

// String says it in words.
func (r Removed) String() string {
	count := strconv.FormatUint(r.Count, 10)
	if r.AtMost {
		count = "up to " + count
	}
	return fmt.Sprintf("%s events of %s, sequences %d to %d", count, r.Subject, r.First, r.Last)
}
