package consuming

import "time"

// simLink is the connection of a member. It carries things in order, each way.
type simLink struct {
	sim       *sim
	member    *simMember
	cut       bool
	dead      bool            // it swallows everything, and nobody knows
	inboxes   map[string]bool // which the server knows of
	upAt      time.Time       // when what was sent last to the server arrives
	downAt    time.Time       // the same to the client
	handledAt map[string]time.Time
}

// connect makes the link, and tells the server of the inboxes.
func (m *simMember) connect() {
	m.link = &simLink{sim: m.sim, member: m, inboxes: make(map[string]bool), handledAt: m.handling}
	for inbox := range m.open {
		m.link.inboxes[inbox] = true
	}
}

// toServer has something happen at the server when it has travelled there, unless the
// link is cut by then.
func (l *simLink) toServer(do func()) {
	l.upAt = later(l.upAt, l.sim.now.Add(l.sim.latency()))
	l.sim.events.push(l.upAt, func() {
		if !l.cut && !l.dead {
			do()
		}
	})
}

// toClient has something happen at the client when it has travelled there and what
// came to the same inbox before was handled.
func (l *simLink) toClient(inbox string, do func()) {
	l.downAt = later(l.downAt, l.sim.now.Add(l.sim.latency()))
	l.sim.events.push(l.downAt, func() {
		if l.cut || l.dead {
			return
		}
		at := later(l.handledAt[inbox], l.sim.now)
		if l.sim.chance(10) {
			at = at.Add(l.sim.upTo(300 * time.Millisecond))
		}
		l.handledAt[inbox] = at
		l.sim.events.push(at, do)
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lose cuts the link. What travels is lost.
func (m *simMember) lose() {
	if m.link != nil {
		m.sim.notef("the link of %s is cut", m.name)
		m.link.cut = true
		m.link = nil
	}
}

// reconnect makes a link again. Within a second the member must have asked for something over
// it: for messages, or for the state of what it reads from.
func (m *simMember) reconnect() {
	if m.link != nil || m.closed || m.dead {
		return
	}
	s := m.sim
	m.connect()
	s.notef("%s is connected again", m.name)
	link, sent := m.link, m.sent
	s.after(time.Second, func() {
		s.mustf(m.link != link || m.stopped || m.dead || m.sent > sent, "%s must ask within a second of being connected again", m.name)
	})
	if s.mistake == waitForLostQuestion {
		m.step(func() {
			m.machine.restart(s.now, "")
			m.machine.ask(false)
		})
		return
	}
	m.giveUp()
	m.step(func() { m.machine.Reconnected(s.now) })
}

// interest reports whether the server knows of an inbox.
func (s *sim) interest(inbox string) bool { return s.linkOf(inbox) != nil }

func (s *sim) linkOf(inbox string) *simLink {
	for _, m := range s.members {
		if m.link != nil && m.link.inboxes[inbox] {
			return m.link
		}
	}
	return nil
}

// toInbox is the server's way to send.
func (s *sim) toInbox(inbox string, a simAnswer) {
	l := s.linkOf(inbox)
	if l == nil {
		return
	}
	l.toClient(inbox, func() { l.member.receive(inbox, a) })
}

// subscribe tells the server of an inbox.
func (m *simMember) subscribe(inbox string) {
	if l := m.link; l != nil {
		l.toServer(func() { l.inboxes[inbox] = m.open[inbox] })
	}
}

// closeInbox takes back what subscribe told. What is on its way still comes.
func (m *simMember) closeInbox(inbox string) {
	if inbox == "" {
		return
	}
	over := func() {
		if m.open[inbox] {
			delete(m.open, inbox)
			m.step(m.machine.InboxClosed)
		}
	}
	if l := m.link; l != nil {
		l.toServer(func() {
			delete(l.inboxes, inbox)
			l.toClient(inbox, over)
		})
	}
	link := m.link
	var lost func()
	lost = func() {
		switch {
		case link == nil || link.cut || link.dead:
			over()
		case m.open[inbox]:
			m.sim.after(time.Second, lost)
		}
	}
	m.sim.after(time.Second, lost)
}

// receive takes in what comes to an inbox.
func (m *simMember) receive(inbox string, a simAnswer) {
	if m.dead || !m.open[inbox] {
		return
	}
	s := m.sim
	round := m.roundOf(inbox)
	if a.status != "" {
		if a.status == "408" {
			m.asked[inbox] -= a.lacking
		}
		if s.mistake == countEarlierRounds {
			round = m.machine.round
		}
		s.notef("%s receives %v", inbox, a)
		m.step(func() { m.machine.Status(s.now, round, a.status, a.description, a.lacking) })
		return
	}
	m.asked[inbox]--
	m.step(func() {
		epoch, handUp := m.machine.Delivered(s.now, round, a.msg)
		s.notef("%s receives %v, origin %d: %v", inbox, a, a.origin, handUp)
		if handUp {
			s.mustf(!m.stopped, "%s must not hand up message %d: it has stopped", m.name, a.msg.Sequence)
			m.handle(&simDelivery{msg: a.msg, epoch: epoch, origin: a.origin})
		}
	})
	if s.mistake == resumeAboveTop {
		m.machine.resume.missed, m.machine.resume.unseen = false, 0
	}
}
