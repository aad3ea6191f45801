package schedule

import (
	"slices"
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fifo"
)

// suspects are the tasks whose events may have ended the processes that ran them: the server
// has sent them again and again before they came here. It also does that with events that
// nobody began, so that nothing is given up for it. Suspects run one at a time, so that it is
// known which of them ends this process, and behind tasks that are not suspect. Before one
// runs, a mark is stored, which outlives the process. The zero value is ready.
type suspects struct {
	queue   fifo.Queue[*Task] // those that are suspected; the first has waited the longest
	current *Task             // the one that has its turn: marking, marked, running or unsettled
	asked   bool              // a mark was asked for, and the shell has not said yet whether it is stored
	dropped droppedEvents
}

// ready returns 1 if a worker could go on with a suspect task, and else 0.
func (q *suspects) ready() int {
	if q.current != nil && q.current.state == marked || q.current == nil && !q.asked && q.queue.Len() > 0 {
		return 1
	}
	return 0
}

// take takes the task at that place out of the queue.
func (q *suspects) take(at int) (t *Task) {
	q.queue.Change(func(all []*Task) []*Task {
		t = all[at]
		return slices.Delete(all, at, at+1)
	})
	return t
}

func (q *suspects) unqueue(t *Task) {
	q.queue.Change(func(all []*Task) []*Task {
		return slices.DeleteFunc(all, func(other *Task) bool { return other == t })
	})
}

// Suspects reports whether there are suspect tasks that have not had their turn yet.
func (s *Scheduler) Suspects() bool {
	return s.suspects.queue.Len() > 0 || s.suspects.current != nil || s.suspects.asked
}

// Draining reports whether Drain was called.
func (s *Scheduler) Draining() bool { return s.draining }

// isSuspect reports whether an event that comes may have ended processes, as far as the
// server's count tells. One that has run here has not, and one that was here before and was
// dropped is sent again for that reason.
func (s *Scheduler) isSuspect(t *Task) bool {
	return s.rules.SuspectAfter > 0 && t.Delivery.Deliveries > s.rules.SuspectAfter && !s.isTooYoung(t) &&
		!s.attempts.has(t.Message) && !s.suspects.dropped.has(t.Message)
}

// isTooYoung reports whether an event was stored too lately to be suspect. A clock that goes
// wrong makes it suspect too early or too late, which does no harm.
func (s *Scheduler) isTooYoung(t *Task) bool {
	return t.Received.Sub(t.Delivery.Timestamp) < s.rules.SuspectAge
}

// queueSuspect lets a task wait for its turn among the suspects.
func (s *Scheduler) queueSuspect(t *Task, now time.Time) {
	t.suspectSince = now
	s.setState(t, suspected)
	s.suspects.queue.Push(t)
}

// nextSuspect returns the suspect task that may run now, and asks for the mark of the next.
func (s *Scheduler) nextSuspect(now time.Time) *Task {
	q := &s.suspects
	for q.current == nil && !q.asked && q.queue.Len() > 0 && s.suspectsGoFirst(q.queue.Front(), now) {
		t := q.take(s.rules.AnyOf(q.queue.Len()))
		if s.late(t, now) && !t.undecided { // else it may be about to be given up
			s.dropLate(t, now)
			continue
		}
		q.current, q.asked = t, true
		s.setState(t, marking)
		s.emit(StoreMark, t, "")
	}
	if t := q.current; t != nil && t.state == marked && s.suspectsGoFirst(t, now) {
		return t
	}
	return nil
}

// suspectsGoFirst reports whether a suspect task is next: no other is ready, or it has waited
// for half its ack wait, so that it is not too late in the end.
func (s *Scheduler) suspectsGoFirst(t *Task, now time.Time) bool {
	return s.ready.Len() == 0 || now.Sub(t.suspectSince) >= s.ackWait/2
}

// Marked says that the mark of a task is stored; or, if stored is not set, that it may not be.
// The task may run in either case: to run an event once too often does less harm than to give
// one up that is harmless. Marked reports whether the task still waits for that.
func (s *Scheduler) Marked(t *Task, stored bool) bool {
	s.suspects.asked = false
	has := s.suspects.current == t && t.state == marking
	if has {
		t.markStored, t.undecided = stored, false
		s.setState(t, marked)
	} else if stored { // it was dropped meanwhile, or gave its turn to another
		s.emit(TakeMarkBack, t, "")
	}
	return has
}

// Crashed says that so many processes have ended while they ran the event of a task that
// nobody should run it again. err says which.
func (s *Scheduler) Crashed(t *Task, err error, now time.Time) {
	s.suspects.asked = false
	if s.suspects.current == t && t.state == marking {
		s.giveUp(t, Failure{Err: err, Reason: events.DeadLetterCrashed}, now)
	}
}

// Undecided says that it is not known yet whether the event of a task may run. Others have
// their turn meanwhile.
func (s *Scheduler) Undecided(t *Task, until, now time.Time) {
	s.suspects.asked = false
	if s.suspects.current == t && t.state == marking {
		t.undecided = true
		s.hold(t, until, now)
	}
}

// hasSuspectsTurn reports whether a suspect task in that state has the turn of the suspects.
func hasSuspectsTurn(s state) bool {
	return s == marking || s == marked || s == running || s == unsettled
}

// endSuspectsTurn lets the next suspect task have its turn. One that has run is not suspect
// any more.
func (s *Scheduler) endSuspectsTurn(t *Task, from state) {
	if t == s.suspects.current {
		s.suspects.current = nil
	}
	if from == running || from == unsettled {
		t.suspect = false
	}
	s.unmark(t)
}

// suspectsTurnEnds returns when the next suspect task has its turn in any case; zero: there is
// none that waits for it.
func (s *Scheduler) suspectsTurnEnds() time.Time {
	t := s.suspects.current
	if t == nil || s.suspects.queue.Len() == 0 || t.state != running && t.state != unsettled {
		return time.Time{}
	}
	return t.Begun.Add(s.rules.SuspectsTurn)
}

// passSuspectsTurn gives the turn to the next suspect task if the one that has it has run for
// long. Its mark stays as long as it runs.
func (s *Scheduler) passSuspectsTurn(now time.Time) {
	if ends := s.suspectsTurnEnds(); !ends.IsZero() && !ends.After(now) {
		s.suspects.current.suspect, s.suspects.current = false, nil
	}
}

// unmarkAll takes all marks back.
func (s *Scheduler) unmarkAll() {
	var marked []*Task
	for _, t := range s.active {
		if t.markStored {
			marked = append(marked, t)
		}
	}
	for _, t := range s.running { // also one that was acknowledged and goes on
		if t.markStored && !slices.Contains(marked, t) {
			marked = append(marked, t)
		}
	}
	sortByMessage(marked)
	for _, t := range marked {
		s.unmark(t)
	}
}

// unmark takes the mark of a task back, if there is one.
func (s *Scheduler) unmark(t *Task) {
	if t.markStored {
		t.markStored = false
		s.emit(TakeMarkBack, t, "")
	}
}

// noteDropped remembers an event that is dropped without having begun. That it comes again
// says nothing about it.
func (s *Scheduler) noteDropped(t *Task) {
	if s.rules.SuspectAfter > 0 && !t.suspect {
		s.suspects.dropped.add(t.Message)
	}
}

// maxDroppedEvents bounds how many events of a generation of droppedEvents are remembered.
// One that is forgotten may become suspect, which costs little.
const maxDroppedEvents = 4096

// droppedEvents are the events that were dropped lately. When the young ones are as many as
// may be, they become the old ones, and those are forgotten. The zero value is ready.
type droppedEvents struct{ young, old map[MessageKey]struct{} }

func (d *droppedEvents) add(key MessageKey) {
	if len(d.young) >= maxDroppedEvents {
		d.young, d.old = nil, d.young
	}
	if d.young == nil {
		d.young = make(map[MessageKey]struct{})
	}
	d.young[key] = struct{}{}
}

func (d *droppedEvents) has(key MessageKey) bool {
	_, young := d.young[key]
	_, old := d.old[key]
	return young || old
}
