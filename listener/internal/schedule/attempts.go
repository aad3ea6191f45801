package schedule

import "time"

// maxAttemptHistories bounds the memory for events that failed and are not done with.
// Beyond it the oldest is forgotten: its attempts are counted from 1 again, and it may be
// tried before its RetryAfter has passed, or once more although it was given up.
const maxAttemptHistories = 4096

// attemptHistory is what is known of an event that is not done with.
type attemptHistory struct {
	attempt    int       // how many runs of its handler failed here
	notBefore  time.Time // of RetryAfter: not to be run before
	outOfOrder bool      // it does not hold up the queue of its key until then
	waited     int       // how often in a row the event could not be handled yet, which is no failure
	gapSince   time.Time // from when on its wait for the event before it counts; zero: it does not wait for one
	giveUp     *GiveUp   // it is to become a dead letter
	unreadable bool      // it was counted as one that can't be read
}

// attemptHistories remembers the attempts of events. An attempt is a run of a handler of
// this listener. The server's count of deliveries is none: it also counts deliveries that no
// handler saw, and those to other members. The zero value is ready.
type attemptHistories struct {
	known map[MessageKey]attemptHistory
	order []MessageKey // as they first came in; those that were forgotten are still in it
}

func (h *attemptHistories) of(key MessageKey) attemptHistory { return h.known[key] }

func (h *attemptHistories) has(key MessageKey) bool {
	_, has := h.known[key]
	return has
}

func (h *attemptHistories) set(key MessageKey, what attemptHistory) {
	if h.known == nil {
		h.known = make(map[MessageKey]attemptHistory)
	}
	if _, old := h.known[key]; !old {
		h.order = append(h.order, key)
	}
	h.known[key] = what
	h.trim()
}

func (h *attemptHistories) forget(key MessageKey) {
	if len(h.known) == 0 {
		return
	}
	delete(h.known, key)
	if len(h.known) == 0 {
		h.order = h.order[:0]
	}
}

// trim keeps both within their bounds.
func (h *attemptHistories) trim() {
	if len(h.order) <= 2*maxAttemptHistories {
		return
	}
	seen := make(map[MessageKey]struct{}, len(h.known))
	live := h.order[:0]
	for _, key := range h.order {
		_, known := h.known[key]
		_, twice := seen[key] // forgotten, and known again
		if known && !twice {
			seen[key] = struct{}{}
			live = append(live, key)
		}
	}
	if excess := len(live) - maxAttemptHistories; excess > 0 {
		for _, key := range live[:excess] {
			delete(h.known, key)
		}
		live = append(live[:0], live[excess:]...)
	}
	h.order = live
}
