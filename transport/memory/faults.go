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

// faults are those that wait for a publish, first come, first served.
type faults struct{ queue []fault }

func (f *faults) next() fault {
	if len(f.queue) == 0 {
		return fault{}
	}
	first := f.queue[0]
	f.queue = f.queue[1:]
	return first
}

func (b *Broker) add(f fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults.queue = append(b.faults.queue, f)
}

// RefuseNext makes the broker refuse the next publish: it is not stored. Faults of
// publishes queue up, one for each publish to come.
func (b *Broker) RefuseNext() { b.add(fault{kind: refusePublish}) }

// LoseAckOfNext makes the broker store the next publish and never say so.
func (b *Broker) LoseAckOfNext() { b.add(fault{kind: losePublishAck}) }

// DelayNext makes the broker store the next publish only after d.
func (b *Broker) DelayNext(d time.Duration) { b.add(fault{kind: delayPublish, delay: d}) }

// DuplicateNext makes the broker store the next publish twice.
func (b *Broker) DuplicateNext() { b.add(fault{kind: duplicatePublish}) }

// DropConnections cuts the links of all connections for a moment. They come back by
// themselves, as over the real brokers, and tell their owners: what was delivered and
// no handler has begun is delivered again, and publishes without a confirmation are
// sent again. Over NATS Streaming those are then stored twice.
func (b *Broker) DropConnections() {
	for _, c := range b.all() {
		c.drop()
	}
}

// EndConnections ends all connections for good, as lost. The transports of this
// library never do so; others may.
func (b *Broker) EndConnections() {
	for _, c := range b.all() {
		if c.end(transport.ErrConnectionLost) {
			c.tell(transport.Closed, transport.ErrConnectionLost)
		}
	}
}

func (b *Broker) all() []*conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Keys(b.conns), func(x, y *conn) int { return cmp.Compare(x.clientID, y.clientID) })
}

// drop cuts the link of a connection, and mends it.
func (c *conn) drop() {
	c.tell(transport.Disconnected, transport.ErrConnectionLost)
	b := c.broker
	b.mu.Lock()
	var members []*subscription
	for _, ch := range b.channels {
		for _, g := range ch.groups {
			members = append(members, g.interrupt(c)...)
		}
	}
	b.mu.Unlock()
	for _, m := range members {
		if m.config.Interrupted != nil {
			m.config.Interrupted()
		}
	}
	c.tell(transport.Reconnected, nil)
	b.mu.Lock()
	c.outbox.Disconnected()
	c.outbox.Connected(false)
	var stored []outbox.Outcome
	for p := c.send(); p != nil; p = c.send() { // what nobody has answered is sent again
		b.store(p.Message)
		stored = append(stored, c.outbox.Stored(p.Ticket()))
		c.outbox.Written(p, false)
	}
	for _, m := range members {
		m.group.dispatch()
	}
	b.mu.Unlock()
	for _, outcome := range stored {
		outcome.Tell()
	}
}

// RedeliverNow delivers everything again that is delivered and not acknowledged,
// as if each ack wait had passed.
func (b *Broker) RedeliverNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range b.channels {
		for _, g := range ch.groups {
			for _, p := range g.pending {
				p.due = time.Now()
			}
			g.expire()
		}
	}
}

// DeliverOutOfOrder makes what is waiting to be delivered on that subject, to each
// group, be delivered in reverse order.
func (b *Broker) DeliverOutOfOrder(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.channel(subject).groups {
		for _, m := range g.members {
			slices.Reverse(m.queue)
		}
		for end := uint64(len(g.channel.log)); g.next <= end; g.next++ {
			g.again = append(g.again, g.next)
		}
		slices.Sort(g.again)
		slices.Reverse(g.again)
		g.dispatch()
	}
}

// EmptyStore forgets all messages and groups: sequences begin at 1 again. The
// subscriptions stay, and receive what is published from then on. The owners of the
// connections are told.
func (b *Broker) EmptyStore() {
	b.emptyStore()
	for _, c := range b.all() {
		c.tell(transport.StoreLost, errEmptied)
	}
}

var errEmptied = errors.New("the store was emptied on demand")

func (b *Broker) emptyStore() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range b.channels {
		ch.log = nil
		for _, g := range ch.groups {
			g.reset()
		}
	}
}
