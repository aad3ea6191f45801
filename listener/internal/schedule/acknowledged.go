package schedule

// minRemembered is how many acknowledged events a generation holds at least: as many as
// a thousand events a second make in the time in which lost acknowledgements come to
// light, which is an outage and the ack wait behind it.
const minRemembered = 16_384

// recentlyAcknowledged remembers which events were acknowledged lately. The server may
// deliver such a one again: its acknowledgement was too late, or the event was stored
// while the listener joined its group (performDurableRedelivery of
// nats-streaming-server). That concerns what was in flight a short while ago, so that
// the memory is bounded by that.
//
// There are two generations. When the young one is full, it becomes the old one, and
// the events of the old one are forgotten. So no event has to be found to be forgotten.
type recentlyAcknowledged struct {
	young, old generation
	size       int // of a generation
}

// generation keeps events in the order in which they were acknowledged, which costs next
// to nothing. They are looked up in an index. It is made, and kept up, when an event is
// asked for that may be among them, which happens for few.
type generation struct {
	keys    []MessageKey
	index   map[MessageKey]struct{} // of the first of keys,
	indexed int                     // so many
	ids     map[EventID]struct{}
	top     uint64 // the highest sequence in keys: events that come in order are beyond it
}

// newRecentlyAcknowledged remembers at least twice as many events as may be in flight,
// and at most twice that many. The memory takes about 0.5 MB, and 1.7 MB more once all
// of them were asked for, and where events have IDs; it grows as events come.
func newRecentlyAcknowledged(maxInFlight int) recentlyAcknowledged {
	return recentlyAcknowledged{size: max(minRemembered, 2*maxInFlight), young: newGeneration(), old: newGeneration()}
}

func newGeneration() generation {
	return generation{index: make(map[MessageKey]struct{}), ids: make(map[EventID]struct{})}
}

// add remembers an event that was acknowledged; by its event ID, too, unless that is
// zero.
func (a *recentlyAcknowledged) add(key MessageKey, id EventID) {
	if len(a.young.keys) >= a.size {
		a.young, a.old = a.old, a.young
		a.young.forget()
	}
	a.young.add(key)
	if id != (EventID{}) {
		a.young.ids[id] = struct{}{}
	}
}

func (a *recentlyAcknowledged) has(key MessageKey) bool { return a.young.has(key) || a.old.has(key) }

func (a *recentlyAcknowledged) hasID(id EventID) bool {
	if id == (EventID{}) {
		return false
	}
	_, young := a.young.ids[id]
	_, old := a.old.ids[id]
	return young || old
}

func (g *generation) add(key MessageKey) {
	if n := len(g.keys); n > 0 && g.keys[n-1] == key {
		return
	}
	g.keys = append(g.keys, key)
	g.top = max(g.top, key.Sequence)
}

func (g *generation) has(key MessageKey) bool {
	if key.Sequence > g.top {
		return false
	}
	for _, key := range g.keys[g.indexed:] {
		g.index[key] = struct{}{}
	}
	g.indexed = len(g.keys)
	_, ok := g.index[key]
	return ok
}

func (g *generation) forget() {
	g.keys, g.indexed, g.top = g.keys[:0], 0, 0
	clear(g.index)
	clear(g.ids)
}
