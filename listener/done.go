package listener

import (
	"hash/maphash"

	"github.com/sgtickets/common/transport"
)

// done remembers which events were acknowledged lately, the oldest forgotten
// first. The server may deliver such a one again: its acknowledgement was too
// late, or the event was stored while the listener joined its group
// (performDurableRedelivery of nats-streaming-server). That concerns what was in
// flight a short while ago, so that the memory is bounded by that.
type done struct {
	ids    map[identity]struct{}
	names  map[name]struct{}
	ring   []finished
	oldest int // where in ring the next one goes, when it is full
	size   int
}

type finished struct {
	id   identity
	name name
}

// newDone remembers twice as many as may be in flight, and at least as many as a
// thousand events a second make in the time in which acknowledgements that were
// lost come to light: an outage, and the ack wait behind it. When it is full it
// takes about 1 MB, twice that where events have names; it grows as events come.
func newDone(maxInFlight int) done {
	return done{
		size: max(16_384, 2*maxInFlight),
		ids:  make(map[identity]struct{}), names: make(map[name]struct{}),
	}
}

// add remembers an event that was acknowledged; by its name, too, unless that is
// zero.
func (d *done) add(id identity, n name) {
	if d.has(id) {
		return
	}
	d.ids[id] = struct{}{}
	if n != (name{}) {
		d.names[n] = struct{}{}
	}
	if len(d.ring) < d.size {
		d.ring = append(d.ring, finished{id, n})
		return
	}
	old := &d.ring[d.oldest]
	delete(d.ids, old.id)
	delete(d.names, old.name)
	*old = finished{id, n}
	d.oldest = (d.oldest + 1) % d.size
}

func (d *done) has(id identity) bool {
	_, ok := d.ids[id]
	return ok
}

func (d *done) named(n name) bool {
	if n == (name{}) {
		return false
	}
	_, ok := d.names[n]
	return ok
}

// name stands for an event's own ID, wherever it is stored: 128 bits made of the
// CloudEvents attributes source and id, which by their specification are the same
// for no two events. Zero: it has none. (The ID for deduplication is no such name:
// the broker lets it be used again when its window has passed.)
type name [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func nameOf(h transport.Header) name {
	if h == nil {
		return name{}
	}
	id, source := h["ce-id"], h["ce-source"]
	if len(id) != 1 || len(source) != 1 || id[0] == "" || source[0] == "" {
		return name{}
	}
	type pair struct{ source, id string }
	p := pair{source[0], id[0]}
	return name{maphash.Comparable(seeds[0], p), maphash.Comparable(seeds[1], p)}
}
