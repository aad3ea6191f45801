package listener

import (
	"hash/maphash"

	"github.com/sgtickets/common/transport"
)

// done remembers which events were acknowledged lately. The server may deliver such a
// one again: its acknowledgement was too late, or the event was stored while the
// listener joined its group (performDurableRedelivery of nats-streaming-server). That
// concerns what was in flight a short while ago, so that the memory is bounded by that.
//
// There are two generations: when the young one is full, it becomes the old one, and
// what was that is forgotten. So nothing has to be found to be forgotten.
type done struct {
	young, old generation
	size       int // of a generation
}

// generation keeps events in the order in which they were acknowledged, which costs
// next to nothing. They are looked up in an index, which is made, and kept up, when one
// is asked for that may be among them: few are.
type generation struct {
	ids     []identity
	index   map[identity]struct{} // of the first of ids,
	indexed int                   // so many
	names   map[name]struct{}
	top     uint64 // the highest sequence in ids: what comes in order is beyond it
}

// newDone remembers twice as many as may be in flight, and at least as many as a
// thousand events a second make in the time in which acknowledgements that were
// lost come to light: an outage, and the ack wait behind it; and at most twice that
// many. It then takes about 0.5 MB, and 1.7 MB more once all of them were asked for,
// and where events have names; it grows as events come.
func newDone(maxInFlight int) done {
	return done{size: max(16_384, 2*maxInFlight), young: newGeneration(), old: newGeneration()}
}

func newGeneration() generation {
	return generation{index: make(map[identity]struct{}), names: make(map[name]struct{})}
}

// add remembers an event that was acknowledged; by its name, too, unless that is
// zero.
func (d *done) add(id identity, n name) {
	if len(d.young.ids) >= d.size {
		d.young, d.old = d.old, d.young
		d.young.forget()
	}
	d.young.add(id)
	if n != (name{}) {
		d.young.names[n] = struct{}{}
	}
}

func (d *done) has(id identity) bool { return d.young.has(id) || d.old.has(id) }

func (g *generation) add(id identity) {
	if n := len(g.ids); n > 0 && g.ids[n-1] == id {
		return
	}
	g.ids = append(g.ids, id)
	g.top = max(g.top, id.sequence)
}

func (g *generation) has(id identity) bool {
	if id.sequence > g.top {
		return false
	}
	for _, id := range g.ids[g.indexed:] {
		g.index[id] = struct{}{}
	}
	g.indexed = len(g.ids)
	_, ok := g.index[id]
	return ok
}

func (g *generation) forget() {
	g.ids, g.indexed, g.top = g.ids[:0], 0, 0
	clear(g.index)
	clear(g.names)
}

func (d *done) named(n name) bool {
	if n == (name{}) {
		return false
	}
	_, young := d.young.names[n]
	_, old := d.old.names[n]
	return young || old
}

// name stands for an event's own ID, wherever it is stored: 128 bits made of the
// CloudEvents attributes source and id, which by their specification are the same
// for no two events. Zero: it has none. (The ID for deduplication is no such name:
// the broker lets it be used again when its window has passed.)
type name [2]uint64

var nameSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

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
	return name{maphash.Comparable(nameSeeds[0], p), maphash.Comparable(nameSeeds[1], p)}
}
