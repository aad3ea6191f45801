package schedule

import (
	"slices"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/transport"
)

// simMember is a member of the group: the real Scheduler, and what the listener does
// around it. How long its goroutines and timers take is drawn.
type simMember struct {
	sim       *sim
	name      string
	scheduler *Scheduler
	session   int       // of its connection
	arrives   time.Time // when the latest delivery on its way arrives: none overtakes another
	workers   int
	alarm     time.Time
	extending bool
	leaving   bool // drains
	left      bool

	marker     *simMarker
	deliveries []*simSettler // all that arrived

	runs    map[MessageKey]int // that go on now
	handled map[MessageKey]bool
	failed  map[MessageKey]int       // runs of this process that failed
	gaps    map[MessageKey]time.Time // when this process first saw an event wait for the one before it
}

func (s *sim) join() {
	s.joined++
	m := &simMember{
		sim: s, name: string(rune('A' + s.joined - 1)), scheduler: New(s.rules, s.ackWait),
		runs: map[MessageKey]int{}, handled: map[MessageKey]bool{}, failed: map[MessageKey]int{}, gaps: map[MessageKey]time.Time{},
	}
	m.marker = s.newMarker(m)
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
	if killed {
		m.end(true)
		return
	}
	if t := m.scheduler.suspects.current; t != nil {
		eventOf(t).unmarked++
	}
	m.scheduler.Drain(m.sim.now)
	m.unlock()
	m.sim.after(3*m.sim.ackWait, func() { m.end(false) })
}

func (m *simMember) end(killed bool) {
	if m.left {
		return
	}
	m.leaving, m.left = true, true
	m.sayf("leaves, killed %v", killed)
	if killed {
		m.countEnded()
	}
	if i := slices.Index(m.sim.members, m); i >= 0 {
		m.sim.members = slices.Delete(m.sim.members, i, i+1)
	}
	m.sim.server.returns(m, m.session)
}

// die is the end of a process by an event. Another one is started.
func (m *simMember) die(e *simEvent) {
	if m.left {
		return
	}
	m.sayf("ends with %d", e.id.Sequence)
	m.end(true)
	m.sim.after(m.sim.between(0, 2*m.sim.ackWait), func() {
		if !m.sim.single || len(m.sim.members) == 0 {
			m.sim.join()
		}
	})
}

// reconnect loses what is on its way to it; the server sends it again.
func (m *simMember) reconnect() {
	if m.left {
		return
	}
	m.sayf("reconnect")
	before := m.session
	m.session++
	m.scheduler.Interrupt(m.sim.now)
	if m.sim.trap == forgetOnReconnect {
		running := m.scheduler.running
		m.scheduler = New(m.sim.rules, m.sim.ackWait)
		m.scheduler.running = running // their goroutines go on
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
		settler := &simSettler{member: m, session: session, event: e}
		m.deliveries = append(m.deliveries, settler)
		d := transport.Delivery{Sequence: e.id.Sequence, Timestamp: time.Unix(0, e.id.Stored), Deliveries: deliveries, Settler: settler}
		w := NewTask(d, s.now)
		if s.trap == identityBySequence {
			w.Message.Stored = 0
		}
		if e.lapsed(s.now) {
			w.Failed = unreadable(errToday)
		} else {
			w.Key, w.Keyed = e.key, s.rules.Concurrency > 1
		}
		m.sayf("arrive %d (%s), delivery %d", e.id.Sequence, e.key, deliveries)
		if h := m.scheduler.attempts.of(w.Message); s.trap == countDeliveries && h.attempt < deliveries-1 {
			h.attempt = deliveries - 1
			m.scheduler.attempts.set(w.Message, h)
		}
		if p := s.server.pending[e]; p != nil && p.member == m && p.session == session {
			p.arrived = true
		}
		m.scheduler.Deliver(w, s.now)
		m.unlock()
	})
}

// unlock does what the listener's unlock does.
func (m *simMember) unlock() {
	s, b := m.sim, m.scheduler
	for _, e := range b.TakeEffects() {
		s.soon(func() { m.perform(e) })
	}
	for m.workers < b.rules.Concurrency && b.Ready() > m.workers-b.Running() {
		m.workers++
		s.soon(m.work)
	}
	if due := b.WakeAt(); !due.IsZero() && (m.alarm.IsZero() || due.Before(m.alarm)) {
		m.alarm = due
		s.after(max(due.Sub(s.now), 0), func() {
			if m.alarm.Equal(due) {
				m.alarm = time.Time{}
				m.scheduler.Wake(s.now)
				m.look()
				m.unlock()
			}
		})
	}
	if interval := b.ExtendInterval(); interval > 0 && !m.extending {
		m.extending = true
		s.after(interval, m.extend)
	}
}

// look does what the listener does about handlers that do not return.
func (m *simMember) look() {
	if stall := m.scheduler.Stall(); stall.Waiting > 0 && stall.Since.IsZero() || stall.Waiting > len(m.scheduler.active) {
		m.sim.brokenf("handlers are said to be stalled since %v, and %d events to wait", stall.Since, stall.Waiting)
	}
	m.scheduler.DropForgotten(m.sim.now)
}

func (m *simMember) extend() {
	m.extending = false
	if m.left {
		return
	}
	for _, settler := range m.scheduler.ExtendAckWaits(m.sim.now) {
		_ = settler.InProgress()
	}
	m.unlock()
}

func (m *simMember) work() {
	w := m.scheduler.Next(m.sim.now)
	if w == nil {
		m.workers--
		m.unlock()
		return
	}
	m.unlock()
	m.begin(w)
}

// eventOf returns the event of a task.
func eventOf(w *Task) *simEvent {
	t, _ := w.Delivery.Settler.(*simSettler)
	return t.event
}

// begin runs a handler that does what is drawn.
func (m *simMember) begin(w *Task) {
	s, e := m.sim, eventOf(w)
	m.sayf("run %d, attempt %d", e.id.Sequence, w.Attempt)
	m.runs[e.id]++
	switch {
	case m.runs[e.id] > 1:
		s.brokenf("event %d runs %d times at once", e.id.Sequence, m.runs[e.id])
	case m.handled[e.id]:
		s.brokenf("event %d was handled, and runs again", e.id.Sequence)
	}
	m.checkOrder(e)
	took, failure := s.between(0, 20*time.Millisecond), (*Failure)(nil)
	if e.kills {
		if s.maybe(20) {
			took = s.between(0, 2*s.ackWait)
		}
		s.after(took, func() { m.die(e) })
		return
	}
	if s.trap == severalSuspects && w.suspect {
		m.scheduler.suspects.current = nil
	}
	if !s.calm {
		switch n := s.IntN(100); {
		case n < 15:
			failure = &Failure{Err: errToday} // or a panic
		case n < 18:
			f := rejected(errToday)
			failure = &f
		case n < 22:
			f := retryAfter(s.between(0, 3*s.ackWait), errToday)
			failure = &f
		case n < 32:
			took = s.between(0, 2*s.ackWait)
		case n < 35: // hangs, or heeds its context
			took, failure = 3*s.ackWait, &Failure{Err: errToday}
			if s.rules.HandlerTimeout > 0 && s.maybe(80) {
				took = s.rules.HandlerTimeout
			}
		case n < 40: // not yet
			failure = &Failure{Err: errToday, After: s.between(0, s.ackWait), Timed: true, Waits: true}
			if s.rules.Concurrency == 1 { // else it lets those of its key overtake it
				failure.OutOfOrder, failure.Timed = s.maybe(80), s.maybe(20)
			}
		}
	}
	if s.manual {
		m.settleByHand(w, e, took, failure)
		return
	}
	s.after(took, func() {
		m.runs[e.id]--
		if m.left {
			return
		}
		if failure == nil {
			m.done(e)
			_ = m.scheduler.LatestSettler(w).Ack()
		}
		m.scheduler.Returned(w, s.now)
		if failure != nil {
			m.fail(w, e, *failure)
		} else {
			m.scheduler.Acknowledged(w, s.now)
		}
		m.unlock()
		m.work()
	})
}

func (m *simMember) done(e *simEvent) {
	m.sayf("handled %d", e.id.Sequence)
	e.handled, m.handled[e.id] = true, true
}

// settleByHand is what the listener does with ManualAck: the event is settled before or after the handler
// returns, or left open and perhaps acknowledged late.
func (m *simMember) settleByHand(w *Task, e *simEvent, took time.Duration, failure *Failure) {
	s := m.sim
	settles, released := s.between(0, 2*took), false
	if !s.calm && s.maybe(5) {
		settles = took + s.between(0, 2*s.ackWait)
	}
	fail := func(f Failure) {
		if !released && !m.left {
			released = true
			m.fail(w, e, f)
			m.unlock()
		}
	}
	s.after(settles, func() {
		switch {
		case m.left:
		case failure != nil:
			fail(*failure)
		default:
			m.done(e)
			_ = m.scheduler.LatestSettler(w).Ack()
			if released {
				m.scheduler.AcknowledgedLate(w, s.now)
			} else {
				m.scheduler.Acknowledged(w, s.now)
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
		m.scheduler.Returned(w, s.now)
		m.unlock()
		s.after(s.ackWait, func() { fail(failed(errToday)) })
		m.work()
	})
}

// perform does what the scheduler has decided.
func (m *simMember) perform(x Effect) {
	s, e := m.sim, eventOf(x.Task)
	if m.left {
		return
	}
	switch x.Do {
	case AckAgain:
		_ = m.scheduler.LatestSettler(x.Task).Ack()
	case Nak:
		_ = x.Delivery.Settler.Nak(x.Delay)
	case StoreMark:
		m.marker.begin(x.Task, e)
	case TakeMarkBack:
		m.marker.takeBack(e)
	case StoreDeadLetter:
		m.checkGiveUp(e, x.GiveUp)
		m.storeDeadLetter(x.Task, e)
	case Hold:
		if s.trap == retryLetsOvertake && x.Task.state == backingOff && x.Task.Keyed {
			x.Task.Keyed = false
			q := m.scheduler.keys.byKey[x.Task.Key]
			m.scheduler.keys.leave(x.Task)
			m.scheduler.advance(q, s.now)
			m.unlock()
		}
	case Replace:
		x.Replaced.Release()
	case LetGo, Drop:
		if s.trap != dropWithoutRelease {
			x.Delivery.Settler.Release()
		}
	}
}

// storeDeadLetter publishes a dead letter, which may be refused, or stored without a word.
func (m *simMember) storeDeadLetter(w *Task, e *simEvent) {
	s := m.sim
	if s.trap == ackBeforeStored {
		_ = m.scheduler.LatestSettler(w).Ack()
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
		m.sayf("dead letter of %d: stored %v, told %v", e.id.Sequence, stored, told)
		if stored && told {
			_ = m.scheduler.LatestSettler(w).Ack()
			m.scheduler.DeadLetterStored(w, s.now)
		} else {
			m.scheduler.DeadLetterNotStored(w, s.now)
		}
		m.unlock()
	})
}

// fail says that a run of the handler failed, or could not handle the event yet.
func (m *simMember) fail(w *Task, e *simEvent, f Failure) {
	switch {
	case !f.waits():
		m.failed[e.id]++
	case m.sim.trap == countWaits:
		f.Waits, f.OutOfOrder = false, false
	case f.OutOfOrder && m.gaps[e.id].IsZero():
		m.gaps[e.id] = m.sim.now
	}
	m.scheduler.Fail(w, f, m.sim.now)
}

// checkGiveUp: nothing is given up as exhausted that this process has not tried often enough,
// however often the server has sent it and however often it had to wait, and nothing that waits
// for another event before its time.
func (m *simMember) checkGiveUp(e *simEvent, g GiveUp) {
	n := m.failed[e.id]
	if g.Reason == events.DeadLetterExhausted && n < m.sim.rules.MaxAttempts {
		m.sim.brokenf("event %d is given up as exhausted after %d of %d attempts", e.id.Sequence, n, m.sim.rules.MaxAttempts)
	}
	if since := m.gaps[e.id]; g.Reason == events.DeadLetterVersionGap && (since.IsZero() || g.At.Sub(since) < m.sim.rules.VersionGapTimeout) {
		m.sim.brokenf("event %d is given up, since it waits for another one since %v", e.id.Sequence, since.Sub(start))
	}
	if g.Reason == events.DeadLetterCrashed && e.endedSuspect < m.sim.maxEnded {
		m.sim.brokenf("event %d is given up, since %d processes ended that ran it, not %d", e.id.Sequence, e.endedSuspect, m.sim.maxEnded)
	}
	if g.Attempts > n {
		m.sim.brokenf("event %d is given up, and %d attempts are told of %d", e.id.Sequence, g.Attempts, n)
	}
}

// checkOrder: no event runs before one of its key that came before it. Of several
// members each keeps to that with what it has.
func (m *simMember) checkOrder(e *simEvent) {
	s := m.sim
	if s.rules.Concurrency == 1 || e.lost {
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
			s.brokenf("event %d of key %s runs before %d", e.id.Sequence, e.key, earlier.id.Sequence)
		}
	}
}

// check is what holds at any time.
func (m *simMember) check() {
	m.checkSuspects()
	b := m.scheduler
	if len(b.running) > b.rules.Concurrency {
		m.sim.brokenf("%d handlers run", len(b.running))
	}
	if most := 6*b.rules.MaxInFlight + b.rules.Concurrency; len(b.active) > most {
		m.sim.brokenf("%d events are remembered as being here, of %d in flight", len(b.active), b.rules.MaxInFlight)
	}
}

func (m *simMember) checkEnd() {
	m.checkSettled()
	b := m.scheduler
	if len(b.active)+b.ready.Len()+len(b.running)+len(b.keys.byKey)+len(b.backingOff.tasks)+len(b.awaitingRedelivery.tasks)+b.resting > 0 {
		m.sim.brokenf("something is left in the scheduler: %d active, %d ready, %d running, %d keys, %d back off, %d await redelivery, %d rest",
			len(b.active), b.ready.Len(), len(b.running), len(b.keys.byKey), len(b.backingOff.tasks), len(b.awaitingRedelivery.tasks), b.resting)
	}
}

// checkSettled: each delivery that arrived was settled or released in the end. One that
// was not would take room of the subscription for ever.
func (m *simMember) checkSettled() {
	for _, d := range m.deliveries {
		if !d.over {
			m.sim.brokenf("a delivery of event %d to %s was neither settled nor released", d.event.id.Sequence, m.name)
		}
	}
}
