package client

import (
	"errors"
	"slices"

	"github.com/sgtickets/common/transport"
)

// condition computes the status of a connection from its events. It has no clock and no
// lock of its own.
type condition struct {
	status       Status
	disconnected bool
}

// apply takes an event in, and reports whether the event is news.
func (c *condition) apply(e transport.Event) bool {
	if c.status.State == Closed {
		return false
	}
	switch e.Kind {
	case transport.Disconnected:
		c.disconnected, c.status.Err = true, e.Err
	case transport.Reconnected, transport.SessionReplaced:
		c.disconnected, c.status.Err = false, nil
	case transport.Degraded:
		if i := c.find(e.Reason); i >= 0 {
			c.status.Reasons[i].Err = e.Err
			return false
		}
		c.status.Reasons = append(c.status.Reasons, Reason{Text: e.Reason, Err: e.Err, Since: e.Time})
	case transport.Recovered:
		i := c.find(e.Reason)
		if i < 0 {
			return false
		}
		c.status.Reasons = slices.Delete(c.status.Reasons, i, i+1)
	case transport.Closed:
		c.status = Status{State: Closed, Since: e.Time, Err: e.Err}
		if e.Err == nil {
			c.status.Err = ErrClosed
		}
		return true
	default:
		return true // the event leaves the status as it is
	}
	if s := c.state(); s != c.status.State {
		c.status.State, c.status.Since = s, e.Time
	}
	return true
}

func (c *condition) find(reason string) int {
	return slices.IndexFunc(c.status.Reasons, func(r Reason) bool { return r.Text == reason })
}

func (c *condition) state() State {
	switch {
	case c.disconnected:
		return Reconnecting
	case len(c.status.Reasons) > 0:
		return Degraded
	default:
		return Connected
	}
}

// closedEvent returns the event for a connection that ended with err.
func closedEvent(err error) transport.Event {
	e := transport.Event{Kind: transport.Closed}
	if !errors.Is(err, ErrClosed) {
		e.Err = err
	}
	return e
}
