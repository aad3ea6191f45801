package schedule

import (
	"slices"
	"time"

	"github.com/sgtickets/common/internal/backoff"
	"github.com/sgtickets/common/observe"
)

// The stall timeout where the rules have none: the longest of these. An ack wait or a
// HandlerTimeout that is long was set for handlers that take long.
const (
	minStallTimeout   = 5 * time.Minute
	stallAckWaits     = 3
	stallAfterTimeout = time.Minute // beyond HandlerTimeout
)

// maxHungInterval bounds the intervals at which it is said again that a handler has not
// returned; a longer stall timeout is the interval itself.
const maxHungInterval = time.Hour

// handlerProgress is what the scheduler knows of handlers that do not return. The zero value
// is ready.
type handlerProgress struct {
	last          time.Time // when a handler last returned, or an event that one left open was settled
	returns       uint64    // how often that happened
	nothingWaited time.Time // when the broker last said that no event waits there
	reading       *Task     // its ordering key is being read, which calls the author's code and lets nothing else in
}

// Hung is a task whose handler has run for the stall timeout or longer.
type Hung struct {
	Task    *Task
	Reading bool // its ordering key is being read: its handler has not begun
}

// Stall says that events wait, and since when no handler has returned.
type Stall struct {
	Since   time.Time // zero: nothing waits for a handler; in the future: an event waits for its time, too
	Waiting int       // how many events wait here
	// AtBroker: none waits here, but as many events as the listener takes are with its
	// handlers. Whether others wait is known to the broker alone.
	AtBroker bool
	Tasks    []*Task // those that hold the others up, the oldest first
}

// StallTimeout returns after what time without a handler's return the listener is stalled.
func (s *Scheduler) StallTimeout() time.Duration {
	if s.rules.StallTimeout > 0 {
		return s.rules.StallTimeout
	}
	d := max(minStallTimeout, stallAckWaits*s.ackWait)
	if s.rules.HandlerTimeout > 0 {
		d = max(d, s.rules.HandlerTimeout+stallAfterTimeout)
	}
	return d
}

// Returns counts the returns of handlers. It is the same number again only if none has
// returned.
func (s *Scheduler) Returns() uint64 { return s.progress.returns }

// progressed says that a handler has returned, or that an event was settled that one had left
// open.
func (s *Scheduler) progressed(now time.Time) {
	s.progress.last = now
	s.progress.returns++
}

// BeginReading says that the ordering key of a task is about to be read. Deliver ends it.
func (s *Scheduler) BeginReading(t *Task, now time.Time) {
	t.Begun, t.hung = now, nil
	s.progress.reading = t
}

// endReading says that no ordering key is being read. If that took as long as a stall, it
// counts as a return.
func (s *Scheduler) endReading(now time.Time) {
	if t := s.progress.reading; t != nil && now.Sub(t.Begun) >= s.StallTimeout() {
		s.progressed(now)
	}
	s.progress.reading = nil
}

// NothingWaits says that the broker was asked, and has no event that waits.
func (s *Scheduler) NothingWaits(now time.Time) { s.progress.nothingWaited = now }

// Hung returns the tasks whose handlers have run for the stall timeout or longer, if it is
// time to say so, which it is at intervals that grow, for each by itself. next is when to ask
// again; zero: nothing runs.
func (s *Scheduler) Hung(now time.Time) (due []Hung, next time.Time) {
	timeout := s.StallTimeout()
	look := func(h Hung) {
		at := h.Task.Begun.Add(timeout)
		if !at.After(now) {
			if h.Task.hung == nil {
				h.Task.hung = &backoff.Reminder{Intervals: backoff.Policy{First: timeout, Max: max(timeout, maxHungInterval)}}
			}
			if h.Task.hung.Due(now, "") {
				due = append(due, h)
			}
			at = earlier(h.Task.hung.Next(), now.Add(timeout)) // events may begin to wait at any time
		}
		if next.IsZero() {
			next = at
		}
		next = earlier(next, at)
	}
	for _, t := range s.running {
		look(Hung{Task: t})
	}
	if t := s.progress.reading; t != nil {
		look(Hung{Task: t, Reading: true})
	}
	slices.SortFunc(due, func(a, b Hung) int { return a.Task.Begun.Compare(b.Task.Begun) })
	return due, next
}

// Stall returns since when events wait and no handler has returned.
func (s *Scheduler) Stall() Stall {
	stall := Stall{Tasks: s.holders()}
	if len(stall.Tasks) == 0 {
		return Stall{}
	}
	latest := s.latestBegun()
	for _, t := range s.active {
		since := s.waitsSince(t, latest)
		if since.IsZero() {
			continue
		}
		stall.Waiting++
		if stall.Since.IsZero() || since.Before(stall.Since) {
			stall.Since = since
		}
	}
	switch reading := s.progress.reading; {
	case stall.Waiting > 0:
	case reading != nil: // nothing else can come in
		stall.Since = reading.Begun
	case s.takesNoMore():
		stall.AtBroker, stall.Since = true, later(stall.Tasks[len(stall.Tasks)-1].Begun, s.progress.nothingWaited)
	default:
		return stall
	}
	stall.Since = later(stall.Since, s.progress.last)
	return stall
}

// DropForgotten drops the events that wait for a handler and have not come again for two ack
// waits, where the broker can't extend those: other members have them. Without that, a listener
// whose handlers do not return would collect them without end. It returns how many there were.
func (s *Scheduler) DropForgotten(now time.Time) int {
	if s.rules.CanExtend {
		return 0
	}
	var forgotten []*Task
	for _, t := range s.active {
		if (t.state == ready || t.state == waiting) && now.Sub(t.Received) >= redeliveryWaitsInGroup*s.ackWait {
			forgotten = append(forgotten, t)
		}
	}
	sortByMessage(forgotten)
	for _, t := range forgotten {
		s.dropForgotten(t, now)
	}
	return len(forgotten)
}

// dropForgotten drops a task that is ready or waits.
func (s *Scheduler) dropForgotten(t *Task, now time.Time) {
	switch t.state {
	case ready:
		s.unready(t)
		s.setState(t, arriving)
	case waiting:
		if running := s.runningWithID(t.id); running != nil {
			running.sameID = slices.DeleteFunc(running.sameID, func(other *Task) bool { return other == t })
		}
	default:
		return
	}
	s.emit(Drop, t, observe.SkipLate)
	s.effects[len(s.effects)-1].Quiet = true
	s.remove(t, now)
}

// holders returns the tasks that others may have to wait for: those whose handlers run, those
// that a handler left open, and one whose key is being read; the oldest first.
func (s *Scheduler) holders() []*Task {
	all := slices.Clone(s.running)
	for _, t := range s.active {
		if t.state == unsettled {
			all = append(all, t)
		}
	}
	if t := s.progress.reading; t != nil {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *Task) int { return a.Begun.Compare(b.Begun) })
	return all
}

// latestBegun returns when the latest of the handlers that run began. Until then there was
// room for another one.
func (s *Scheduler) latestBegun() (latest time.Time) {
	for _, t := range s.running {
		latest = later(latest, t.Begun)
	}
	return latest
}

// waitsSince returns since when a task waits for the handler of another one; zero: it does
// not. latest is what latestBegun returns.
func (s *Scheduler) waitsSince(t *Task, latest time.Time) time.Time {
	switch t.state {
	case ready:
		if len(s.running) < s.rules.Concurrency {
			return time.Time{}
		}
		return later(t.couldRun(), latest)
	case waiting:
		holder := s.runningWithID(t.id)
		if q := s.keys.byKey[t.Key]; holder == nil && t.Keyed && q != nil && q.turn != nil && q.turn != t {
			holder = q.turn
		}
		if holder == nil || holder.state != running && holder.state != unsettled {
			return time.Time{} // what holds it up is no handler
		}
		return later(t.couldRun(), holder.Begun)
	default:
		return time.Time{}
	}
}

// couldRun returns from when on the task's handler could have run, if there had been room.
func (t *Task) couldRun() time.Time { return later(t.arrived, t.due) }

// takesNoMore reports whether handlers have all the events that the listener takes. One that
// requests its events takes no more than its handlers can begin.
func (s *Scheduler) takesNoMore() bool {
	if s.rules.CanExtend && len(s.running) >= s.rules.Concurrency {
		return true
	}
	n := 0
	for _, t := range s.active { // without those that were acknowledged, and whose handlers go on
		if t.state == running || t.state == unsettled {
			n++
		}
	}
	return n >= s.rules.MaxInFlight
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
