package listener

// done remembers which events were acknowledged lately, the oldest forgotten
// first. The server may deliver such a one again: its acknowledgement was too
// late, or the event was stored while the listener joined its group
// (performDurableRedelivery of nats-streaming-server). That concerns what was in
// flight a short while ago, so that the memory is bounded by that.
type done struct {
	ids  map[identity]struct{}
	ring []identity
	next int // where in ring the next one goes, when it is full
	size int
}

// newDone remembers twice as many as may be in flight, and at least as many as a
// thousand events a second make in the time in which acknowledgements that were
// lost come to light: an outage, and the ack wait behind it. When it is full it
// takes about 1 MB; it grows as events come.
func newDone(maxInFlight int) done {
	return done{size: max(16_384, 2*maxInFlight)}
}

func (d *done) add(id identity) {
	if d.ids == nil {
		d.ids = make(map[identity]struct{})
	}
	if d.has(id) {
		return
	}
	d.ids[id] = struct{}{}
	if len(d.ring) < d.size {
		d.ring = append(d.ring, id)
		return
	}
	delete(d.ids, d.ring[d.next])
	d.ring[d.next] = id
	d.next = (d.next + 1) % d.size
}

func (d *done) has(id identity) bool {
	_, ok := d.ids[id]
	return ok
}
