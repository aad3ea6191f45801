package jetstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sgtickets/common/transport"
)

// outbox holds what is to be sent, in order, until the writer sends it: a write into
// a socket that takes nothing must not hold up who publishes. Once there is a new
// connection, all that waits for an answer is in it again.
type outbox struct {
	generation atomic.Uint64 // of the connection: grows with each reconnect; the first is 1
	cut        atomic.Uint64 // the generation whose connection is gone: nothing leaves until the next
	wake       chan struct{} // wakes the writer; one is enough
	armed      atomic.Bool   // a timer runs for those that nobody answers

	mu    sync.Mutex
	queue []transport.Ticket
}

func (o *outbox) begin() {
	o.generation.Store(1)
	o.wake = make(chan struct{}, 1)
}

// put has t sent.
func (o *outbox) put(t transport.Ticket) {
	o.mu.Lock()
	o.queue = append(o.queue, t)
	o.mu.Unlock()
	o.rouse()
}

// replace has these sent, and nothing else that was to be.
func (o *outbox) replace(tickets []transport.Ticket) {
	o.mu.Lock()
	o.queue = tickets
	o.mu.Unlock()
	o.rouse()
}

func (o *outbox) rouse() {
	select {
	case o.wake <- struct{}{}:
	default: // it will look
	}
}

// take returns what is to be sent. The queue goes on in the memory of used.
func (o *outbox) take(used []transport.Ticket) []transport.Ticket {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.queue
	o.queue = used[:0]
	return all
}

// write sends what is to be sent, until the connection is over.
func (c *conn) write() {
	var batch []transport.Ticket
	for {
		select {
		case <-c.outbox.wake:
		case <-c.Done():
			return
		}
		c.maxPayload.Store(c.nc.MaxPayload()) // of another server it may be another
		for batch = c.outbox.take(batch); len(batch) > 0; batch = c.outbox.take(batch) {
			for _, t := range batch {
				if !c.send(t) {
					break // the next connection sends all that waits
				}
			}
		}
	}
}

// silence is after what time a publish that has a message ID is sent again though
// the connection seems to live: the answer went down with the stream's leader.
// It doubles with each time, up to four times of it. Without the ID, silence says
// nothing of a publish.
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
	window := c.duplicateWindow()
	tickets := c.publishes.Tickets()
	for _, t := range tickets {
		due := false
		c.publishes.Update(t, func(p *publish) {
			due = p.hasID && p.open > 0 && time.Since(p.last) >= silence<<min(p.silent, 2) && time.Since(p.first) < window
			if due {
				p.silent++
				p.generation = 0 // so that it is sent once more over this connection
			}
		})
		if due {
			c.outbox.put(t)
		}
	}
	if len(tickets) > 0 {
		c.mindSilence()
	}
}

// duplicateWindow is for how long it is safe to send a publish again: the server
// remembers its ID a little longer.
func (c *conn) duplicateWindow() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.Duplicates - unansweredFor
}
