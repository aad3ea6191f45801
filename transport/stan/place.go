package stan

import (
	"sync"
	"time"

	"github.com/sgtickets/common/transport"
)

// place is how far a subscription has come in its channel, and what the sequences of its
// deliveries tell about the store. The sequences of a channel have no gaps of their own, so
// that a subscription without a queue group, which gets every event, sees from a gap what the
// server has removed. A member of a group gets some events only, and sees nothing from gaps.
//
// The place of a durable outlives its subscription: the connection keeps it for the next one.
type place struct {
	mu       sync.Mutex
	grouped  bool
	top      uint64              // the highest sequence that was delivered
	topTime  time.Time           // when that event was stored
	complete bool                // all that was stored after top is to come: a gap behind it is a loss
	first    uint64              // the server has removed what is below
	released map[uint64]struct{} // delivered and not handled: the server sends them again
}

// loss is what is missing of a channel: count events of first to last. None: count is 0.
type loss struct{ first, last, count uint64 }

// one is the loss of one event.
func one(sequence uint64) loss { return loss{sequence, sequence, 1} }

// and returns what both have together.
func (l loss) and(other loss) loss {
	switch {
	case l.count == 0:
		return other
	case other.count == 0:
		return l
	default:
		return loss{min(l.first, other.first), max(l.last, other.last), l.count + other.count}
	}
}

// maxReleased bounds the events that are remembered as released. They are about as many as
// the server may send without an acknowledgement.
const maxReleased = 1 << 16

// durable names a durable without a queue group among those of a client.
type durable struct{ subject, name string }

// placeOf returns the place at which a new subscription begins.
func (c *conn) placeOf(s transport.SubscribeConfig) *place {
	if s.Durable == "" || s.Group != "" {
		return &place{grouped: s.Group != ""}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := durable{s.Subject, s.Durable}
	if c.places[key] == nil {
		c.places[key] = &place{}
	}
	return c.places[key]
}

// forgetPlace: the durable is deleted, and one of its name begins anew.
func (c *conn) forgetPlace(s transport.SubscribeConfig) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Group == "" {
		delete(c.places, durable{s.Subject, s.Durable})
	}
}

// take takes in a delivery. It returns what the server has removed before this subscription
// had it, and whether the store is another one than before.
func (p *place) take(sequence uint64, stored time.Time, redelivered bool) (lost loss, emptied bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.released, sequence)
	switch {
	case sequence > p.top:
		if p.complete && sequence > p.top+1 && !p.grouped {
			lost = loss{p.top + 1, sequence - 1, sequence - 1 - p.top}.and(p.removed(sequence))
		}
	case stored.After(p.topTime):
		emptied = true
		clear(p.released)
		p.first = 0
	default:
		return lost, false
	}
	// The first event that comes a second time may be one of several that are open: between
	// them, others were acknowledged.
	p.top, p.topTime, p.complete = sequence, stored, p.complete || !redelivered
	return lost, emptied
}

// removed notes that the server has removed what is below first. It returns the events among
// those that were to come again.
func (p *place) removed(first uint64) (lost loss) {
	p.first = max(p.first, first)
	for sequence := range p.released {
		if sequence < p.first {
			delete(p.released, sequence)
			lost = lost.and(one(sequence))
		}
	}
	return lost
}

// beginsAt notes that the server had nothing from sequence asked on to that one, and returns
// what is lost of the events that were delivered before.
func (p *place) beginsAt(sequence uint64) loss {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.removed(min(sequence, p.top+1))
}

// settled: the event was handled.
func (p *place) settled(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.released, sequence)
}

// release: nobody handles this delivery, and the server is to send the event again. lost is
// the event if the server has removed it.
func (p *place) release(sequence uint64) (lost loss) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.grouped:
	case sequence < p.first:
		lost = one(sequence)
	case len(p.released) < maxReleased:
		if p.released == nil {
			p.released = make(map[uint64]struct{})
		}
		p.released[sequence] = struct{}{}
	}
	return lost
}

// restart begins anew in another store.
func (p *place) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.top, p.topTime, p.first = 0, time.Time{}, 0
	clear(p.released)
}

// at returns the highest sequence that was delivered, and when that event was stored.
func (p *place) at() (top uint64, stored time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.top, p.topTime
}

// placed is a settler that tells the subscription's place and resume what becomes of an
// event. The event counts as handled even if the acknowledgement does not get through.
type placed struct {
	transport.Settler

	sub      *subscription
	sequence uint64
}

func (s *placed) Ack() error {
	s.sub.place.settled(s.sequence)
	if s.sub.resume != nil {
		s.sub.resume.handled(s.sequence)
	}
	return s.Settler.Ack()
}

func (s *placed) Release() {
	s.sub.tellRemoved(s.sub.place.release(s.sequence))
	s.Settler.Release()
}
