package memory

import "time"

// deduplication is how long a message ID is remembered: JetStream's default.
const deduplication = 2 * time.Minute

// recent remembers message IDs for that long. The zero value has seen none.
type recent struct {
	ids   map[string]struct{}
	order []seenID // the oldest first
}

type seenID struct {
	id    string
	until time.Time
}

// saw reports whether it has seen the ID lately, and remembers it if not.
func (r *recent) saw(id string) bool {
	now := time.Now()
	for len(r.order) > 0 && !now.Before(r.order[0].until) {
		delete(r.ids, r.order[0].id)
		r.order = r.order[1:]
	}
	if _, twice := r.ids[id]; twice {
		return true
	}
	if r.ids == nil {
		r.ids = make(map[string]struct{})
	}
	r.ids[id] = struct{}{}
	r.order = append(r.order, seenID{id, now.Add(deduplication)})
	return false
}
