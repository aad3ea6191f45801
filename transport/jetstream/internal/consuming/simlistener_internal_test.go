package consuming

import (
	"fmt"
	"time"
)

func (m *simMember) roundOf(inbox string) (round uint64) {
	_, _ = fmt.Sscanf(inbox[len(m.name):], ", round %d", &round)
	return round
}

// handle is what a listener does with a delivery. One that is here already is settled
// through the later delivery.
func (m *simMember) handle(d *simDelivery) {
	s := m.sim
	_, here := m.held[d.id()]
	m.held[d.id()] = d
	if here {
		return
	}
	id := d.id()
	if s.handled[id] { // it knows
		s.after(0, func() { m.settle(id, Done, "+ACK", 0) })
		return
	}
	takes := s.upTo(time.Second)
	switch {
	case !s.trouble:
		takes /= 10
	case s.chance(10):
		takes = s.upTo(2 * s.ackWait)
	}
	if s.chance(50) {
		m.extend(id, takes)
	}
	s.after(takes, func() { m.decide(id) })
}

// extend says now and then that a message is in progress.
func (m *simMember) extend(id simIdentity, takes time.Duration) {
	for at := m.sim.ackWait / 2; at < takes; at += m.sim.ackWait / 2 {
		m.sim.after(at, func() {
			if d := m.held[id]; d != nil && !m.dead && m.machine.Current(d.epoch) {
				m.send(d.msg.Reply, "+WPI")
			}
		})
	}
}

// decide settles a message one way or another.
func (m *simMember) decide(id simIdentity) {
	s := m.sim
	if m.dead || m.closed || m.held[id] == nil {
		return
	}
	switch n := s.rand.IntN(100); {
	case s.trouble && n < 6:
		m.settle(id, GivenBack, "-NAK", 0)
	case s.trouble && n < 12:
		m.settle(id, GivenBack, "-NAK", s.upTo(20*time.Second))
	case s.trouble && n < 20:
		d := m.held[id]
		m.release(id, d)
		if s.chance(30) { // the handler ends after all: a late acknowledgement
			s.handled[id] = true
			s.after(s.upTo(2*s.ackWait), func() { m.acknowledge(d, Done, "+ACK", 0) })
		}
	case n < 22:
		m.settle(id, Done, "+TERM", 0)
	default:
		m.settle(id, Done, "+ACK", 0)
	}
}

// settle settles a message through its latest delivery.
func (m *simMember) settle(id simIdentity, outcome Outcome, answer string, delay time.Duration) {
	d := m.held[id]
	if d == nil || m.dead || m.closed {
		return
	}
	if outcome == Done {
		m.sim.handled[id] = true
	}
	m.acknowledge(d, outcome, answer, delay)
	delete(m.held, id)
}

// acknowledge is what a settler of the shell does.
func (m *simMember) acknowledge(d *simDelivery, outcome Outcome, answer string, delay time.Duration) {
	s := m.sim
	if m.dead || m.closed {
		return
	}
	sent := Answer{Sequence: d.msg.Sequence, Reply: d.msg.Reply, Outcome: outcome, Text: []byte(answer), Delay: delay}
	if m.machine.Answering(s.now, d.epoch, sent) || s.mistake == ackAcrossStreams {
		s.mustf(d.origin >= m.stream, "%s must not settle message %d of stream %d: it knows that stream %d is in its place", m.name, d.msg.Sequence, d.origin, m.stream)
		if outcome == Done {
			m.acked[d.id()] = true
		}
		if m.link == nil {
			m.machine.NotAnswered()
			outcome = Released
			if s.mistake == keepUnsent {
				return
			}
		}
		m.sendFor(d, answer, delay)
	}
	m.step(func() { m.machine.Settled(s.now, d.epoch, d.msg.Sequence, d.msg.Reply, outcome) })
}

// release lets a message go.
func (m *simMember) release(id simIdentity, d *simDelivery) {
	delete(m.held, id)
	if m.sim.mistake != keepReleased {
		m.step(func() { m.machine.Settled(m.sim.now, d.epoch, d.msg.Sequence, d.msg.Reply, Released) })
	}
}

func (m *simMember) sendFor(d *simDelivery, answer string, delay time.Duration) {
	s := m.sim
	if l := m.link; l != nil {
		l.toServer(func() {
			if c := s.server.consumer(); c != nil && s.server.stream.origin(d.msg.Sequence) != d.origin &&
				(answer == "+ACK" || answer == "+TERM") && c.pending[d.msg.Sequence] != nil {
				// It is taken for the new stream's. Nobody who was not told of that can prevent it.
				s.excused[simIdentity{s.server.stream.origin(d.msg.Sequence), d.msg.Sequence}] = true
			}
			s.server.settle(d.msg.Reply, answer, delay)
		})
	}
}

// send sends an answer that no message of the listener belongs to.
func (m *simMember) send(reply, answer string) { m.sendAfter(reply, answer, 0) }

func (m *simMember) sendAfter(reply, answer string, delay time.Duration) {
	if l := m.link; l != nil {
		l.toServer(func() { m.sim.server.settle(reply, answer, delay) })
	}
}

// checkAcks checks that the server has, soon, what the member had acknowledged when it learnt
// that the consumer is still the same.
func (m *simMember) checkAcks() {
	s, c, link := m.sim, m.sim.server.consumer(), m.link
	if c == nil || link == nil || !m.machine.consumer.Equal(c.created) || m.machine.Unanswered() {
		return
	}
	for a := range m.machine.answers.All() {
		if a.nak != nil || c.pending[a.sequence] == nil || !m.acked[simIdentity{s.server.stream.origin(a.sequence), a.sequence}] {
			continue
		}
		s.after(time.Second, func() {
			s.mustf(m.link != link || link.dead || s.server.consumer() != c || c.pending[a.sequence] == nil,
				"message %d, which %s has acknowledged, must not go to others: the link is back", a.sequence, m.name)
		})
	}
}

// leave stops the member, waits for some of its handlers, and closes it.
func (m *simMember) leave() {
	m.sim.notef("%s leaves", m.name)
	m.stopped = true
	m.step(m.machine.Stop)
}

// close is what happens once nothing more can arrive. Some handlers may still run.
func (m *simMember) close() {
	m.sim.after(m.sim.upTo(500*time.Millisecond), func() {
		if m.dead || m.closed {
			return
		}
		m.step(m.machine.Close)
		link := m.link
		if link == nil {
			return
		}
		link.toServer(func() { // the connection is closed once all that was sent has arrived
			link.cut = true
			if m.link == link {
				m.link = nil
			}
		})
	})
}
