package listener

import "time"

// rememberedPast bounds the memory for events that failed, or came without being
// run, and are not done. Beyond it the oldest is forgotten: its attempts are then
// what the server counts, and it may be tried before its RetryAfter has passed, or
// once more although it was given up.
const rememberedPast = 4096

// past is what is known of an event that is not done.
type past struct {
	attempt  int       // of its last run here
	unrun    int       // deliveries that no handler saw
	due      time.Time // of RetryAfter: not to be run before
	aside    bool      // nor to hold up its line until then
	sentence *sentence // it is to become a dead letter
}

// pasts remembers the past of events: a server that was restarted counts its
// deliveries from the start again. The zero value is ready.
type pasts struct {
	known map[identity]past
	order []identity // as they first came in; those forgotten are still in it
}

func (p *pasts) of(id identity) past { return p.known[id] }

func (p *pasts) set(id identity, what past) {
	if p.known == nil {
		p.known = make(map[identity]past)
	}
	if _, old := p.known[id]; !old {
		p.order = append(p.order, id)
	}
	p.known[id] = what
	p.trim()
}

func (p *pasts) forget(id identity) {
	if len(p.known) == 0 {
		return
	}
	delete(p.known, id)
	if len(p.known) == 0 {
		p.order = p.order[:0]
	}
}

// trim keeps both within their bounds.
func (p *pasts) trim() {
	if len(p.order) <= 2*rememberedPast {
		return
	}
	seen := make(map[identity]struct{}, len(p.known))
	live := p.order[:0]
	for _, id := range p.order {
		_, known := p.known[id]
		_, twice := seen[id] // forgotten, and known again
		if known && !twice {
			seen[id] = struct{}{}
			live = append(live, id)
		}
	}
	if excess := len(live) - rememberedPast; excess > 0 {
		for _, id := range live[:excess] {
			delete(p.known, id)
		}
		live = append(live[:0], live[excess:]...)
	}
	p.order = live
}
