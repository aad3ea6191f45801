package listener

import (
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// simMember is a listener: the real book, and what run does around it, in which
// goroutines and timers take as long as is drawn.
type simMember struct {
	sim     *sim
	name    string
	book    *book
	session int       // of its connection
	arrives time.Time // when the latest delivery on its way arrives: none overtakes another
	workers int
	alarm   time.Time
	keeping bool
	leaving bool // drains
	left    bool

	runs    map[identity]int // that go on now
	handled map[identity]bool
}

func (s *sim) join() {
	s.joined++
	m := &simMember{sim: s, name: string(rune('A' + s.joined - 1)), book: newBook(s.rules, s.ackWait), runs: map[identity]int{}, handled: map[identity]bool{}}
	s.members = append(s.members, m)
	m.sayf("joins")
	s.server.joined()
}

func (m *simMember) sayf(format string, args ...any) { m.sim.sayf(m.name+": "+format, args...) }

// leave drains, or just ends, as a process that is killed.
func (m *simMember) leave(killed bool) {
	if m.leaving {
		return
	}
	m.leaving = true
	end := func() {
		m.left = true
		m.sayf("leaves, killed %v", killed)
		if i := slices.Index(m.sim.members, m); i >= 0 {
			m.sim.members = slices.Delete(m.sim.members, i, i+1)
		}
		m.sim.server.returns(m, m.session)
	}
	if killed {
		end()
		return
	}
	m.book.drain(m.sim.now)
	m.unlock()
	m.sim.after(3*m.sim.ackWait, end)
}

// reconnect loses what is on its way to it; the server sends it again.
func (m *simMember) reconnect() {
	if m.left {
		return
	}
	m.sayf("reconnect")
	before := m.session
	m.session++
	m.book.interrupt(m.sim.now)
	if m.sim.trap == forgetOnReconnect {
		running := m.book.running
		m.book = newBook(m.sim.rules, m.sim.ackWait)
		m.book.running = running // their goroutines go on
	}
	m.unlock()
	m.sim.server.returns(m, before)
}

// carry brings a delivery to the member.
func (m *simMember) carry(e *simEvent, deliveries int) {
	s, session := m.sim, m.session
	at := s.now.Add(s.between(0, 5*time.Millisecond))
	if at.Before(m.arrives) {
		at = m.arrives
	}
	m.arrives = at
	s.after(at.Sub(s.now), func() {
		if m.left || m.session != session {
			return
		}
		d := transport.Delivery{Sequence: e.id.sequence, Timestamp: time.Unix(0, e.id.stored), Deliveries: deliveries, Settler: &simSettler{m, session, e}}
		w := newWork(d, s.now)
		if s.trap == identityBySequence {
			w.id.stored = 0
		}
		if e.lapsed(s.now) {
			f := unreadable(ErrUndecodable)
			w.failed = &f
		} else {
			w.key, w.keyed = e.key, s.rules.concurrency > 1
		}
		m.sayf("arrive %d (%s), delivery %d", e.id.sequence, e.key, deliveries)
		if p := s.server.pending[e]; p != nil && p.member == m && p.session == session {
			p.arrived = true
		}
		m.book.arrive(w, s.now)
		m.unlock()
	})
}

// unlock does what run's does.
func (m *simMember) unlock() {
	s, b := m.sim, m.book
	for _, e := range b.todo {
		s.soon(func() { m.perform(e) })
	}
	b.todo = nil
	for m.workers < b.concurrency && b.ready.Len() > m.workers-len(b.running) {
		m.workers++
		s.soon(m.work)
	}
	if due := b.due(); !due.IsZero() && (m.alarm.IsZero() || due.Before(m.alarm)) {
		m.alarm = due
		s.after(max(due.Sub(s.now), 0), func() {
			if m.alarm.Equal(due) {
				m.alarm = time.Time{}
				m.book.wake(s.now)
				m.unlock()
			}
		})
	}
	if b.keeps && !m.keeping && len(b.active) > 0 {
		m.keeping = true
		s.after(b.ackWait/keepsIn, m.keep)
	}
}

func (m *simMember) keep() {
	m.keeping = false
	for _, w := range m.book.kept(m.sim.now.Add(-m.book.ackWait / (2 * keepsIn))) {
		w.received = m.sim.now
		_ = w.delivery.Settler.InProgress()
	}
	m.unlock()
}

func (m *simMember) work() {
	w := m.book.next(m.sim.now)
	if w == nil {
		m.workers--
		m.unlock()
		return
	}
	m.unlock()
	m.begin(w)
}

func eventOf(w *work) *simEvent {
	t, _ := w.delivery.Settler.(*simSettler)
	return t.event
}

// begin runs a handler that does what is drawn.
func (m *simMember) begin(w *work) {
	s, e := m.sim, eventOf(w)
	m.sayf("run %d, attempt %d", e.id.sequence, w.attempt)
	m.runs[e.id]++
	switch {
	case m.runs[e.id] > 1:
		s.brokenf("event %d runs %d times at once", e.id.sequence, m.runs[e.id])
	case m.handled[e.id]:
		s.brokenf("event %d was handled, and runs again", e.id.sequence)
	}
	m.checkOrder(e)
	took, err := s.between(0, 20*time.Millisecond), error(nil)
	if !s.calm {
		switch n := s.IntN(100); {
		case n < 15:
			err = errToday // or a panic
		case n < 18:
			err = Reject(errToday)
		case n < 22:
			err = RetryAfter(s.between(0, 3*s.ackWait), errToday)
		case n < 32:
			took = s.between(0, 2*s.ackWait)
		case n < 35: // hangs, or heeds its context
			took, err = 3*s.ackWait, errToday
			if s.rules.timeout > 0 && s.maybe(80) {
				took = s.rules.timeout
			}
		}
	}
	if s.manual {
		m.settleByHand(w, e, took, err)
		return
	}
	s.after(took, func() {
		m.runs[e.id]--
		if m.left {
			return
		}
		if err == nil {
			m.done(e)
			_ = m.latest(w).Ack()
		}
		m.book.returned(w, s.now)
		if err != nil {
			m.book.fail(w, failed(err), s.now)
		} else {
			m.book.handled(w, s.now)
		}
		m.unlock()
		m.work()
	})
}

func (m *simMember) done(e *simEvent) {
	m.sayf("handled %d", e.id.sequence)
	e.handled, m.handled[e.id] = true, true
}

func (m *simMember) latest(w *work) transport.Settler {
	if here := m.book.active[w.id]; here != nil && w.state == over {
		w = here
	}
	return w.delivery.Settler
}

// settleByHand is what manual does: the event is settled before or after the handler
// returns, or left open and perhaps acknowledged late.
func (m *simMember) settleByHand(w *work, e *simEvent, took time.Duration, err error) {
	s := m.sim
	settles, released := s.between(0, 2*took), false
	if !s.calm && s.maybe(5) {
		settles = took + s.between(0, 2*s.ackWait)
	}
	fail := func(err error) {
		if !released && !m.left {
			released = true
			m.book.fail(w, failed(err), s.now)
			m.unlock()
		}
	}
	s.after(settles, func() {
		switch {
		case m.left:
		case err != nil:
			fail(err)
		default:
			m.done(e)
			_ = m.latest(w).Ack()
			if released {
				m.book.handledLate(w, s.now)
			} else {
				m.book.handled(w, s.now)
			}
			released = true
			m.unlock()
		}
	})
	s.after(took, func() {
		m.runs[e.id]--
		if m.left {
			return
		}
		m.book.returned(w, s.now)
		m.unlock()
		s.after(s.ackWait, func() { fail(errUnsettled) })
		m.work()
	})
}

// perform does what the book has decided.
func (m *simMember) perform(x effect) {
	s, e := m.sim, eventOf(x.work)
	if m.left {
		return
	}
	switch x.do {
	case ackAgain:
		_ = m.latest(x.work).Ack()
	case giveBack:
		_ = x.delivery.Settler.Nak(x.delay)
	case bury:
		m.bury(x.work, e)
	case holdBack:
		if s.trap == retryLetsOvertake && x.work.state == asleep && x.work.keyed {
			x.work.keyed = false
			l := m.book.lines.byKey[x.work.key]
			m.book.lines.leave(x.work)
			m.book.advance(l, s.now)
			m.unlock()
		}
	case letGo, dropLate, drop:
	}
}

// bury publishes a dead letter, which may be refused, or stored without a word.
func (m *simMember) bury(w *work, e *simEvent) {
	s := m.sim
	if s.trap == ackBeforeStored {
		_ = m.latest(w).Ack()
	}
	stored, told := true, true
	if !s.calm && s.maybe(40) {
		stored, told = s.maybe(50), false
	}
	took := s.between(0, 10*time.Millisecond)
	if !told {
		took = s.between(0, 2*s.ackWait)
	}
	s.after(took/2, func() { e.letter = e.letter || stored })
	s.after(took, func() {
		if m.left {
			return
		}
		m.sayf("dead letter of %d: stored %v, told %v", e.id.sequence, stored, told)
		if stored && told {
			_ = m.latest(w).Ack()
			m.book.buried(w, s.now)
		} else {
			m.book.unburied(w, s.now)
		}
		m.unlock()
	})
}

// checkOrder: no event runs before one of its key that came before it. Of several
// members each keeps to that with what it has.
func (m *simMember) checkOrder(e *simEvent) {
	s := m.sim
	if s.rules.concurrency == 1 || e.lost {
		return
	}
	for _, earlier := range s.server.log {
		if earlier == e {
			return
		}
		if earlier.key != e.key || earlier.lapsed(s.now) || earlier.handled || earlier.letter {
			continue
		}
		p := s.server.pending[earlier]
		if s.single || p != nil && p.member == m && p.session == m.session && p.arrived {
			s.brokenf("event %d of key %s runs before %d", e.id.sequence, e.key, earlier.id.sequence)
		}
	}
}

// check is what holds at any time.
func (m *simMember) check() {
	b := m.book
	if len(b.running) > b.concurrency {
		m.sim.brokenf("%d handlers run", len(b.running))
	}
	if most := 6*b.maxInFlight + b.concurrency; len(b.active) > most {
		m.sim.brokenf("%d events are remembered as being here, of %d in flight", len(b.active), b.maxInFlight)
	}
}

func (m *simMember) checkEnd() {
	b := m.book
	if len(b.active)+b.ready.Len()+len(b.running)+len(b.lines.byKey)+len(b.asleep.works)+len(b.gone.works)+b.resting > 0 {
		m.sim.brokenf("something is left in the book: %d active, %d ready, %d running, %d keys, %d asleep, %d gone, %d rest",
			len(b.active), b.ready.Len(), len(b.running), len(b.lines.byKey), len(b.asleep.works), len(b.gone.works), b.resting)
	}
}
