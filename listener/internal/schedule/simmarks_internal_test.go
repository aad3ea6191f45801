package schedule

import (
	"slices"
	"strconv"
	"time"
)

// simMarks is the subject of the marks.
type simMarks struct {
	sim    *sim
	stored []Mark
}

// simMarker does for a member what the listener's marker does. The member is a process.
type simMarker struct {
	member   *simMember
	marks    *Marks
	heard    int // so many of those that are stored
	number   uint64
	running  []string
	interval time.Duration
	renewals int
	watched  map[*simEvent]time.Time
}

func (s *sim) newMarker(m *simMember) *simMarker {
	return &simMarker{member: m, marks: NewMarks(m.name, s.maxEnded), watched: make(map[*simEvent]time.Time)}
}

// store brings a mark to the server, after a while, and calls stored then, if the process lives.
func (k *simMarker) store(stored func()) {
	s := k.member.sim
	k.number++
	mark := Mark{Process: k.member.name, Listen: k.member.name, Number: k.number, Events: slices.Clone(k.running), Interval: k.interval, Client: k.member.name}
	s.after(s.between(0, 20*time.Millisecond), func() {
		mark.Stored = s.now
		s.marks.stored = append(s.marks.stored, mark)
		s.soon(func() {
			if !k.member.left && stored != nil {
				stored()
			}
		})
	})
}

// hear takes in what is stored.
func (k *simMarker) hear() {
	for ; k.heard < len(k.member.sim.marks.stored); k.heard++ {
		k.marks.Hear(k.member.sim.marks.stored[k.heard], k.member.sim.now)
	}
}

// begin judges an event, and stores its mark.
func (k *simMarker) begin(t *Task, e *simEvent) {
	m := k.member
	s := m.sim
	if !s.calm && s.maybe(10) { // not possible
		s.soon(func() {
			if m.left {
				return
			}
			e.unmarked++
			m.scheduler.Marked(t, false)
			m.unlock()
		})
		return
	}
	k.store(func() {
		k.hear()
		since, watches := k.watched[e]
		if !watches {
			since = s.now
		}
		k.judge(t, e, since)
	})
}

func (k *simMarker) judge(t *Task, e *simEvent, since time.Time) {
	m, event := k.member, e.name()
	s := m.sim
	now := s.now
	if s.trap == countLiving {
		now = now.Add(time.Hour)
	}
	j := k.marks.Judge(event, since, now)
	switch {
	case j.Crashes && s.trap != neverGiveUp:
		m.sayf("%d has ended %v", e.id.Sequence, j.Ended)
		delete(k.watched, e)
		m.scheduler.Crashed(t, errToday, s.now)
		m.unlock()
	case !j.Until.IsZero() && s.trap != neverGiveUp:
		k.watched[e] = since
		m.scheduler.Undecided(t, j.Until, s.now)
		m.unlock()
	default:
		delete(k.watched, e)
		k.running = append(k.running, event)
		k.interval = simMarkInterval
		k.renewLater()
		k.store(func() {
			m.scheduler.Marked(t, true)
			m.unlock()
		})
	}
}

const simMarkInterval = 200 * time.Millisecond

func (k *simMarker) renewLater() {
	k.renewals++
	n := k.renewals
	k.member.sim.after(k.interval, func() {
		if !k.member.left && k.renewals == n && len(k.running) > 0 {
			k.interval = min(2*k.interval, 2*time.Second)
			k.store(nil)
			k.renewLater()
		}
	})
}

// takeBack is the end of the mark of an event.
func (k *simMarker) takeBack(e *simEvent) {
	if at := slices.Index(k.running, e.name()); at >= 0 {
		k.running = slices.Delete(slices.Clone(k.running), at, at+1)
		if k.member.sim.trap != neverTakeBack {
			k.store(nil)
		}
	}
}

func (e *simEvent) name() string { return strconv.FormatInt(e.id.Stored, 10) }

// countEnded counts that a process ends while events run, or are marked.
func (m *simMember) countEnded() {
	for id, n := range m.runs {
		if e := m.sim.server.event(id); n > 0 && e != nil {
			e.ended++
		}
	}
	for _, e := range m.sim.server.log {
		if slices.Contains(m.marker.running, e.name()) {
			e.endedSuspect++
		}
	}
}

// checkEnded: of no event more processes end than have to, and one more for each mishap.
func (v *simServer) checkEnded() {
	for _, e := range v.log {
		others := 3 // members that begin it before it is known that the first has ended
		if most := v.sim.rules.SuspectAfter*(1+v.sim.restarts) + v.sim.maxEnded + others + v.sim.faults + e.unmarked; e.ended > most {
			v.sim.brokenf("%d processes ended while they ran event %d, not %d at most", e.ended, e.id.Sequence, most)
		}
	}
}

// checkSuspects: not more than one suspect event runs in a member.
func (m *simMember) checkSuspects() {
	if n := len(slices.DeleteFunc(slices.Clone(m.scheduler.running), func(t *Task) bool { return !t.suspect })); n > 1 {
		m.sim.brokenf("%d suspect events run", n)
	}
}
