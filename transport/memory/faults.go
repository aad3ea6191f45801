package memory

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

type faultKind int

const (
	noFault faultKind = iota
	refusePublish
	losePublishAck
	delayPublish
	duplicatePublish
)

type fault struct {
	kind  faultKind
	delay time.Duration
}

// faults are the faults that wait for a publish. The oldest one applies to the next
// publish.
type faults struct{ queue []fault }

// next takes the fault of the next publish; noFault if there is none.
func (f *faults) next() fault {
	if len(f.queue) == 0 {
		return fault{}
	}
	first := f.queue[0]
	f.queue = f.queue[1:]
	return first
}

func (b *Broker) addFault(f fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults.queue = append(b.faults.queue, f)
}

// RefuseNext makes the broker refuse the next publish, which is then not stored. Faults of
// publishes queue up: each call of RefuseNext, LoseAckOfNext, DelayNext and DuplicateNext
// concerns one publish.
func (b *Broker) RefuseNext() { b.addFault(fault{kind: refusePublish}) }

// LoseAckOfNext makes the broker store the next publish and never confirm it.
func (b *Broker) LoseAckOfNext() { b.addFault(fault{kind: losePublishAck}) }

// DelayNext makes the broker store the next publish only after d.
func (b *Broker) DelayNext(d time.Duration) { b.addFault(fault{kind: delayPublish, delay: d}) }

// DuplicateNext makes the broker store the next publish twice.
func (b *Broker) DuplicateNext() { b.addFault(fault{kind: duplicatePublish}) }

// DropConnections cuts the links of all connections for a moment. As with the real
// brokers, the connections come back by themselves and report both events to their
// owners. The broker delivers again what is not acknowledged, and the connections send
// again what is not confirmed. With NATS Streaming's behaviour, a publish that was stored
// already is then stored twice.
func (b *Broker) DropConnections() {
	for _, c := range b.connsInOrder() {
		c.dropLink()
	}
}

// EndConnections ends all connections for good, with transport.ErrConnectionLost. The
// transports of this library never do so; others may.
func (b *Broker) EndConnections() {
	for _, c := range b.connsInOrder() {
		if c.end(transport.ErrConnectionLost) {
			c.emit(transport.Closed, transport.ErrConnectionLost)
		}
	}
}

// connsInOrder returns the connections, ordered by client ID.
func (b *Broker) connsInOrder() []*conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Keys(b.conns), func(x, y *conn) int { return cmp.Compare(x.clientID, y.clientID) })
}

// dropLink cuts the link of a connection and restores it.
func (c *conn) dropLink() {
	c.emit(transport.Disconnected, transport.ErrConnectionLost)
	b := c.broker
	b.mu.Lock()
	var members []*subscription
	for _, ch := range b.channels {
		for _, g := range ch.groups {
			members = append(members, g.interrupt(c)...)
		}
	}
	b.mu.Unlock()
	for _, member := range members {
		if member.config.Interrupted != nil {
			member.config.Interrupted()
		}
	}
	c.emit(transport.Reconnected, nil)
	b.mu.Lock()
	c.outbox.Disconnected()
	c.outbox.Connected(false)
	var stored []outbox.Outcome
	for p := c.send(); p != nil; p = c.send() { // what nobody has answered is sent again
		b.store(p.Message)
		stored = append(stored, c.outbox.Stored(p.Ticket(), p.Attempt()))
		c.outbox.Written(p, false)
	}
	for _, member := range members {
		member.group.dispatch()
	}
	b.mu.Unlock()
	for _, outcome := range stored {
		outcome.Tell()
	}
}

// RedeliverNow delivers again everything that was delivered and is not acknowledged, as if
// each ack wait had passed.
func (b *Broker) RedeliverNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range b.channels {
		for _, g := range ch.groups {
			for _, m := range g.unacked {
				m.due = time.Now()
			}
			g.expire()
		}
	}
}

// DeliverOutOfOrder reverses the order of what is waiting to be delivered on that subject
// to each group.
func (b *Broker) DeliverOutOfOrder(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.channel(subject).groups {
		for _, m := range g.members {
			slices.Reverse(m.queue)
		}
		for end := uint64(len(g.channel.log)); g.next <= end; g.next++ {
			g.resend = append(g.resend, g.next)
		}
		slices.Sort(g.resend)
		slices.Reverse(g.resend)
		g.dispatch()
	}
}

// EmptyStore forgets all messages and groups: sequences begin at 1 again. The
// subscriptions stay, and receive what is published from then on. The connections report
// transport.StoreLost to their owners.
func (b *Broker) EmptyStore() {
	b.emptyStore()
	for _, c := range b.connsInOrder() {
		c.emit(transport.StoreLost, errEmptied)
	}
}

var errEmptied = errors.New("the store was emptied on demand")

func (b *Broker) emptyStore() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = recentIDs{} // the message IDs went with the messages
	for _, ch := range b.channels {
		ch.log = nil
		for _, g := range ch.groups {
			g.reset()
		}
	}
}
