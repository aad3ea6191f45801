package client

import (
	"fmt"
	"time"
)

// State says how a client is.
type State int

// The states of a client. It begins as Connected, or Degraded; Closed is the end.
const (
	// Connected: the link to the server is up, and nothing is known to be wrong.
	Connected State = iota + 1
	// Degraded: the link is up, but something does not work; Status.Reasons says what.
	Degraded
	// Reconnecting: the link is down, and is being restored by itself.
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

// Status is how a client is, as far as it knows by itself. It is a copy, the
// caller's to keep.
type Status struct {
	State State
	Since time.Time // when it came into the state

	// Err says why it is Reconnecting or Closed, where that is known: ErrClosed after
	// Close. Otherwise nil.
	Err error

	// Reasons say what does not work, the oldest first. While it is Reconnecting they
	// are those from before, which may hold still.
	Reasons []Reason
}

// Reason is one thing that does not work while the rest does.
type Reason struct {
	Text  string    // what: the Reason of the event that began it
	Err   error     // why, as was found last; may be nil
	Since time.Time // when it began
}

// Status returns how the client is now. It asks nobody, and costs next to
// nothing: a link that has just died silently still counts as up, for seconds.
// [Client.Healthy] finds out. It is safe for concurrent use.
func (c *Client) Status() Status {
	c.noticeEnd()
	return c.monitor.status()
}

// noticeEnd makes the connection's end, if it has come, the client's.
func (c *Client) noticeEnd() {
	if err := c.Err(); err != nil {
		c.monitor.end(err)
	}
}
