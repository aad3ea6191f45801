package memory

import "time"

// deduplicationWindow is how long a message ID is remembered: JetStream's default.
const deduplicationWindow = 2 * time.Minute

// recentIDs remembers message IDs for the deduplication window. The zero value has seen
// none.
type recentIDs struct {
	ids   map[string]struct{}
	order []seenID // oldest first
}

type seenID struct {
	id    string
	until time.Time
}

// seenBefore reports whether the ID was seen within the window, and remembers it if not.
func (r *recentIDs) seenBefore(id string) bool {
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
	r.order = append(r.order, seenID{id, now.Add(deduplicationWindow)})
	return false
}
