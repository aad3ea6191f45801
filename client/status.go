package client

import (
	"fmt"
	"time"
)

// State says whether a client works.
type State int

// The states of a client. A client begins as Connected, or Degraded, and ends as Closed.
const (
	// Connected: the link to the server is up, and the client knows of nothing that does
	// not work.
	Connected State = iota + 1
	// Degraded: the link is up, but something does not work; Status.Reasons says what.
	Degraded
	// Reconnecting: the link is down. The client restores it by itself.
	Reconnecting
	// Closed: Close was called, or the connection was lost for good.
	Closed
)

var stateNames = [...]string{Connected: "connected", Degraded: "degraded", Reconnecting: "reconnecting", Closed: "closed"}

// String returns the state's name.
func (s State) String() string {
	if s >= 1 && int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Status is the state of a client as far as the client knows without asking the broker. It
// is a copy, which the caller may change.
type Status struct {
	State State
	Since time.Time // when the state began

	// Err says why the client is Reconnecting or Closed, where that is known; after Close
	// it is ErrClosed. In the other states it is nil.
	Err error

	// Reasons say what does not work, the oldest first. While the client is Reconnecting,
	// they are those from before the link went down.
	Reasons []Reason
}

// Reason is one thing that does not work while the rest does.
type Reason struct {
	Text  string    // what does not work: the Reason of the event [EventDegraded]
	Err   error     // why, as was found last; nil if that is not known
	Since time.Time // when it began
}

// Status returns the state of the client. It does not ask the broker, and costs next to
// nothing: for some seconds, a link that has died silently still counts as up.
// [Client.Healthy] asks the broker. Status is safe for concurrent use.
func (c *Client) Status() Status {
	if !c.made() {
		return Status{State: Closed, Err: errNotMade}
	}
	c.noticeEnd()
	return c.monitor.status()
}

// noticeEnd tells the monitor that the connection has ended, if it has.
func (c *Client) noticeEnd() {
	if err := c.Err(); err != nil {
		c.monitor.end(err)
	}
}
