package jetstream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/transport"
)

// outbox says when publishes may leave. While there is no connection they stay
// among those that wait, so that what is sent once it is back goes out in order.
type outbox struct {
	holding    atomic.Bool
	generation atomic.Uint64 // of the connection: grows with each reconnect
	again      sync.Mutex    // one sends again at a time
	armed      atomic.Bool   // a timer runs for those that nobody answers
}

// silence is after what time a publish that has a message ID is sent again though
// the connection seems to live: the answer went down with the stream's leader.
// It doubles with each time. Without the ID, silence says nothing of a publish.
const silence = 2 * time.Second

// mindSilence makes sure that what nobody answers is noticed.
func (c *conn) mindSilence() {
	if c.outbox.armed.CompareAndSwap(false, true) {
		time.AfterFunc(silence, func() {
			c.outbox.armed.Store(false)
			c.background(c.breakSilence)
		})
	}
}

// breakSilence sends again what nobody has answered.
func (c *conn) breakSilence() {
	c.outbox.again.Lock()
	defer c.outbox.again.Unlock()
	window := c.duplicateWindow() - unansweredFor
	tickets := c.publishes.Tickets()
	for _, t := range tickets {
		due := false
		c.publishes.Update(t, func(p *publish) {
			due = p.hasID && !p.sent.IsZero() && time.Since(p.last) >= silence<<p.silent && time.Since(p.sent) < window
			if due {
				p.silent++
				p.generation = 0 // so that it is sent once more over this connection
			}
		})
		if due && c.nc.IsConnected() {
			c.send(t, true)
		}
	}
	if len(tickets) > 0 {
		c.mindSilence()
	}
}

// sendAgain sends what waits, after the connection came back: what has not left
// yet, and what went into the connection that is gone. The latter may be stored;
// its message ID keeps it from being stored twice, as long as the server
// remembers it.
func (c *conn) sendAgain() {
	c.outbox.again.Lock()
	defer c.outbox.again.Unlock()
	var last transport.Ticket
	for released := false; c.nc.IsConnected(); {
		tickets := c.publishes.Tickets()
		for len(tickets) > 0 && tickets[0] <= last {
			tickets = tickets[1:]
		}
		for _, t := range tickets {
			last = t
			if c.forgotten(t) {
				c.publishes.Settle(t, fmt.Errorf("%w: the connection was lost before the stream answered", transport.ErrOutcomeUnknown))
				continue
			}
			c.send(t, true)
		}
		if released {
			return
		}
		// What is published from now on leaves by itself. What has seen that it was to
		// wait is among the tickets by now.
		if len(tickets) == 0 {
			c.outbox.holding.Store(false)
			released = true
		}
	}
	c.outbox.holding.Store(true) // the next reconnect goes on
}

// forgotten reports whether t may have been stored so long ago, or without an ID,
// that the server could not tell that it is the same.
func (c *conn) forgotten(t transport.Ticket) (yes bool) {
	window := c.duplicateWindow() - unansweredFor
	now := c.outbox.generation.Load()
	c.publishes.Update(t, func(p *publish) {
		yes = !p.sent.IsZero() && p.generation != now && (!p.hasID || time.Since(p.sent) > window)
	})
	return yes
}

func (c *conn) duplicateWindow() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.Duplicates
}
