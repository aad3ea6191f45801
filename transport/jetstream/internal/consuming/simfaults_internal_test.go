package consuming

import "time"

// fault is something that goes wrong, or that somebody does.
func (s *sim) fault() {
	alive := s.alive()
	var m *simMember
	if len(alive) > 0 {
		m = alive[s.rand.IntN(len(alive))]
	}
	switch n := s.rand.IntN(30); {
	case n < 3:
		s.join()
	case n < 4:
		if s.chance(50) {
			s.silent = !s.silent
			s.notef("JetStream's API is silent: %v", s.silent)
		}
	case n < 6:
		s.notef("the consumer is deleted")
		s.server.deleteConsumer()
	case n < 7:
		if s.bindOnly && s.server.stream != nil && s.server.consumer() == nil {
			s.bind()
		}
	case n < 9:
		if s.server.stream != nil {
			below := s.server.stream.first + uint64(s.rand.IntN(10))
			s.notef("the stream is purged below %d", below)
			s.server.purge(min(below, s.server.stream.last+1))
		}
	case n < 10:
		s.notef("the stream is deleted")
		s.server.deleteStream()
	case n < 11:
		if s.server.stream != nil {
			s.notef("the stream is replaced")
			s.server.deleteStream()
			s.server.createStream()
			s.publish(s.rand.IntN(20))
		}
	case n < 12:
		if s.server.stream != nil && s.server.stream.last > 0 {
			above := uint64(s.rand.Int64N(int64(s.server.stream.last)))
			s.notef("the server holds what it did at message %d", above)
			s.restore(above)
		}
	case n < 14:
		s.notef("the consumer has another leader")
		s.server.changeLeader()
	case n < 15:
		if c := s.server.consumer(); c != nil {
			c.maxBatch = s.rand.IntN(4)
			s.notef("the consumer allows a request %d", c.maxBatch)
		}
	case n < 16:
		s.notef("the server is restarted")
		if s.chance(50) {
			s.notef("in an orderly way: it stops JetStream first")
			s.server.stop()
			s.pass(s.upTo(500 * time.Millisecond))
		}
		for _, m := range s.members {
			m.lose()
		}
		s.server.restart()
	case m == nil:
	case n < 20:
		m.lose()
	case n < 21:
		if m.link != nil {
			s.notef("the link of %s is dead", m.name)
			link := m.link
			link.dead = true
			s.after(time.Second+s.upTo(4*time.Second), func() { // pings find out
				if m.link == link {
					m.lose()
				}
			})
		}
	case n < 22:
		m.leave()
	case n < 23:
		s.notef("%s is killed", m.name)
		m.lose()
		m.dead = true
	default:
		m.reconnect()
	}
}

// bind is what somebody else does where the members may not create the consumer.
func (s *sim) bind() {
	s.notef("the consumer is made again by somebody else")
	s.createConsumer(0)
}

// restore sets the server up again from an older copy, which takes all connections down.
func (s *sim) restore(above uint64) {
	for _, m := range s.members {
		m.lose()
	}
	s.server.lose(above)
}

// endTrouble ends all faults, and sees to it that somebody listens.
func (s *sim) endTrouble() {
	s.notef("the trouble ends")
	s.trouble, s.silent = false, false
	if s.server.stream == nil && (s.bindOnly || len(s.alive()) == 0) {
		s.server.createStream()
	}
	if s.bindOnly && s.server.consumer() == nil {
		s.bind()
	}
	for _, m := range s.members {
		if m.link != nil && m.link.dead {
			m.lose()
		}
		m.reconnect()
	}
	if len(s.alive()) == 0 {
		s.join()
	}
	s.after(s.upTo(10*time.Second), func() { s.publish(3) })
}
