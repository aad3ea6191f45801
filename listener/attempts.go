package listener

// rememberedAttempts bounds the memory for events that were begun and not
// acknowledged. Beyond it the oldest is forgotten, and its attempts are what the
// server counts.
const rememberedAttempts = 4096

// attempts counts how often an event was begun here: a server that was restarted
// counts from the start again. The zero value is ready.
type attempts struct {
	runs  map[identity]int
	order []identity // as they were first begun; those forgotten are still in it
}

// begin counts one run more and returns how many there were, this one included.
func (a *attempts) begin(id identity) int {
	if a.runs == nil {
		a.runs = make(map[identity]int)
	}
	a.runs[id]++
	n := a.runs[id]
	if n == 1 {
		a.order = append(a.order, id)
		a.trim()
	}
	return n
}

// forget ends the count of an event.
func (a *attempts) forget(id identity) {
	delete(a.runs, id)
	if len(a.runs) == 0 {
		a.order = a.order[:0]
	}
}

// trim keeps order within its bound.
func (a *attempts) trim() {
	if len(a.order) <= 2*rememberedAttempts {
		return
	}
	live := a.order[:0]
	for _, id := range a.order {
		if a.runs[id] > 0 {
			live = append(live, id)
		}
	}
	if excess := len(live) - rememberedAttempts; excess > 0 {
		for _, id := range live[:excess] {
			delete(a.runs, id)
		}
		live = append(live[:0], live[excess:]...)
	}
	a.order = live
}
