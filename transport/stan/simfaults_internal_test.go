package stan

import (
	"maps"
	"slices"
)

// alive returns a client that runs, if there is one.
func (s *sim) alive() *simClient {
	c := s.clients[s.rand.IntN(len(s.clients))]
	if c.writer == nil || c.closing || c.frozen {
		return nil
	}
	return c
}

// act is what clients do at any time.
func (s *sim) act() {
	c := s.alive()
	if c == nil {
		return
	}
	switch s.rand.IntN(10) {
	case 0:
		for _, id := range slices.Sorted(maps.Keys(s.publishes)) {
			if p := s.publishes[id]; p.client == c && !p.settled && s.chance(50) {
				p.left = true
				c.conn.Abandon(p.ticket)
				break
			}
		}
	case 1, 2:
		s.pings()
	case 3:
		if s.trap == resendOnSilence && c.conn.supervisor.phase == phaseUp {
			c.conn.supervisor.outbox.Connected(false) // which sends all that is unanswered again
			c.conn.wake()
		}
	case 4:
		s.expire()
	default:
		s.publish(c)
	}
}

func (s *sim) pings() {
	for _, w := range s.linked {
		if !w.client.frozen {
			w.ping()
		}
	}
}

// expire lets the ack wait of one subscription pass.
func (s *sim) expire() {
	if !s.running || s.frozen || len(s.server.subs) == 0 {
		return
	}
	if sub := s.server.subs[s.rand.IntN(len(s.server.subs))]; sub.client != "" {
		s.server.expire(sub)
	}
}

// fault is something that goes wrong.
func (s *sim) fault() {
	s.linked = slices.DeleteFunc(s.linked, func(w *simSession) bool { return w.shut })
	c := s.clients[s.rand.IntN(len(s.clients))]
	switch s.rand.IntN(14) {
	case 0, 1:
		s.notef("cut %s", c.id)
		c.away = s.chance(50)
		s.cut(c)
	case 2:
		for _, w := range s.linked {
			if w.client == c && w.link != nil {
				s.notef("the link of %s is dead", c.id)
				link := w.link
				link.dead = true
				s.timer(func() {
					if w.link == link {
						w.cut()
					}
				})
			}
		}
	case 3:
		s.notef("the server is killed")
		s.stop()
	case 4:
		s.notef("the server is frozen")
		s.frozen = true
	case 5: // not between asking and saying goodbye: for the server to find out that nobody answers takes longer
		if s.running && !s.frozen && !c.parting && s.register(c.id, "rival of "+c.id) == nil {
			s.notef("%s is replaced", c.id)
			s.rival[c.id] = true
		}
	case 6:
		if s.running && !s.frozen && !c.closing { // by a process that was replaced, and does not ask
			s.notef("%s is closed by another", c.id)
			_ = s.server.closeClient(c.id)
		}
	case 7:
		if s.running && !s.frozen && !s.answers(c.id) {
			s.notef("the server has given %s up", c.id)
			_ = s.server.closeClient(c.id)
		}
	case 8:
		if !c.closing { // as above
			s.notef("%s is frozen", c.id)
			c.frozen = true
		}
	case 9:
		if c := s.alive(); c != nil && len(c.listeners) > 0 {
			if l := c.listeners[s.rand.IntN(len(c.listeners))]; l.sub.state.phase != subscriptionRemoved {
				s.notef("%s leaves %s", c.id, l.want.name)
				c.leaveListener(l)
			}
		}
	case 10:
		if c := s.alive(); c != nil {
			s.notef("%s is closed", c.id)
			c.close()
		}
	case 11:
		if s.backup == nil {
			s.notef("a backup is taken, up to event %d", len(s.server.log))
			s.backup = s.server.copy()
		}
	default:
		s.mend(c)
	}
}

// excuseGhosts notes the subscriptions that came back with a backup, that their client has
// closed since, and that it can't find out about: the server knows all others that it has.
func (s *sim) excuseGhosts() {
	for _, c := range s.clients {
		var ghosts []string
		held := make(map[string]bool)
		for _, l := range c.listeners {
			if l.sub.state.inner != nil {
				held[innerOf(l.sub.state.inner).inbox] = true
			}
		}
		for _, inner := range c.conn.supervisor.unwanted {
			held[innerOf(inner).inbox] = true
		}
		for _, sub := range s.server.subs {
			if sub.client == c.id && !held[sub.inbox] {
				ghosts = append(ghosts, sub.inbox)
			}
			delete(held, sub.inbox)
		}
		if len(held) == 0 {
			s.excused = append(s.excused, ghosts...)
		}
	}
}

func (s *sim) cut(c *simClient) {
	for _, w := range s.linked {
		if w.client == c && w.link != nil {
			w.cut()
		}
	}
}

// stop kills the server.
func (s *sim) stop() {
	if !s.running {
		return
	}
	s.running, s.frozen = false, false
	s.inside.todo = nil
	for _, l := range s.lanes {
		if l.from != "" {
			l.todo = nil
		}
	}
	for _, w := range s.linked {
		if w.link != nil {
			w.cut()
		}
	}
}

// mend ends one fault.
func (s *sim) mend(c *simClient) {
	switch {
	case !s.running:
		s.running = true
		switch {
		case s.trouble && s.chance(30):
			s.notef("the server is back, empty")
			s.server.empty()
			clear(s.rival)
			s.backup = nil
		case s.trouble && s.backup != nil && s.chance(60):
			s.notef("the server is back, restored from a backup up to event %d", len(s.backup.log))
			s.server.restore(s.backup)
			clear(s.rival)
			s.excuseGhosts()
		default:
			s.notef("the server is back")
			s.server.restart()
		}
	case s.frozen:
		s.frozen = false
	case c.frozen:
		c.frozen = false
	case c.away:
		c.away = false
	case s.rival[c.id]:
		s.notef("who replaced %s leaves", c.id)
		s.rival[c.id] = false
		if s.server.clients[c.id] == "rival of "+c.id {
			_ = s.server.closeClient(c.id)
		}
	}
}
