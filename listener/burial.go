package listener

import (
	"time"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/backoff"
)

// sentence is why an event is given up, as it was when that was decided.
type sentence struct {
	reason   events.DeadLetterReason
	err      error
	attempts int
	at       time.Time
}

// burialBackoff spaces out the attempts to store a dead letter.
var burialBackoff = backoff.Policy{First: time.Second, Max: 30 * time.Second}

// giveUp ends the attempts of an event: what is left is to store its dead letter.
// Where there are none, it goes on as long as the server sends it.
func (b *book) giveUp(w *work, f failure, now time.Time) {
	before := b.pasts.of(w.id)
	before.attempt, before.due = w.attempt, time.Time{}
	if !b.letters {
		b.pasts.set(w.id, before)
		b.stuck.add(w.id, now.Add(absenceInGroup*b.ackWait), 2*b.maxInFlight)
		b.later(w, now.Add(b.ackWait), now, f.err)
		return
	}
	if f.reason == "" {
		f.reason = events.DeadLetterExhausted
	}
	before.sentence = &sentence{f.reason, f.err, w.attempt, now}
	if f.reason == events.DeadLetterUndecodable || f.reason == events.DeadLetterInvalid {
		before.sentence.attempts = 0 // its handler never began
	}
	b.pasts.set(w.id, before)
	w.sentence = before.sentence
	b.condemned(w)
}

// condemned has the dead letter of an event stored.
func (b *book) condemned(w *work) {
	b.set(w, dying)
	b.must(bury, w, 0, nil)
}

// buried says that the dead letter was stored, and the event settled.
func (b *book) buried(w *work, now time.Time) {
	b.remember(w, name{}) // under its name it may come again: put back by Redrive
	b.remove(w, now)
}

// unburied says that the dead letter may not be stored: the event stays
// unacknowledged, and it is tried again.
func (b *book) unburied(w *work, now time.Time) {
	w.burials++
	b.later(w, now.Add(b.burial(w.burials)), now, nil)
}

// stuckHere counts what can't be handled and keeps its place all the same, and what
// waits for such a one in the line of its key.
func (b *book) stuckHere(now time.Time) int {
	n := b.stuck.count(now)
	if n == 0 {
		return 0
	}
	for _, l := range b.lines.byKey {
		if _, is := b.stuck.until[l.queue[0].id]; is {
			n += len(l.queue) - 1
		}
	}
	return n
}

// stuck counts the events that nobody could handle, and that keep their place at the
// server: those that become no dead letters come again and again, and over NATS
// Streaming so do those whose attempts are not used up. The zero value is ready.
type stuck struct {
	until map[identity]time.Time // they count; longer, if they come again
}

func (s *stuck) add(id identity, until time.Time, most int) {
	if s.until == nil {
		s.until = make(map[identity]time.Time)
	}
	if len(s.until) < most {
		s.until[id] = until
	}
}

func (s *stuck) remove(id identity) { delete(s.until, id) }

// count returns how many there are, without those that another member has by now.
func (s *stuck) count(now time.Time) int {
	for id, until := range s.until {
		if now.After(until) {
			delete(s.until, id)
		}
	}
	return len(s.until)
}
