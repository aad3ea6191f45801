package memory

import (
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
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

// DropConnections ends all connections, as lost.
func (b *Broker) DropConnections() {
	b.mu.Lock()
	conns := make([]*conn, 0, len(b.conns))
	for c := range b.conns {
		conns = append(conns, c)
	}
	b.mu.Unlock()
	for _, c := range conns {
		c.end(transport.ErrConnectionLost)
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
// subscriptions stay, and receive what is published from then on.
func (b *Broker) EmptyStore() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range b.channels {
		ch.log = nil
		for _, g := range ch.groups {
			g.reset()
		}
	}
}
