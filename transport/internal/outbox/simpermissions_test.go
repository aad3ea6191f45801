package outbox_test

import (
	"errors"
	"fmt"
)

// The NATS server of the simulation stands between the writer and the broker. It takes or
// refuses what was written over a link in its order, by permissions that change at any point,
// and answers a PING in the same order. Its errors reach the outbox through the queue of
// callbacks, as in nats.go, and those that are on their way when the link is cut are lost.

// written is what the writer has written into the link: an attempt or a PING.
type written struct {
	sent sentMessage
	pong func() // of a PING; nil for an attempt
}

var errForbidden = errors.New("forbidden")

// permissions is the part of the simulation about them.
type permissions struct {
	forbidden bool // to publish to d
	wire      []written
	heard     int                    // how many callbacks were called
	epoch     int                    // grows when the outbox is told of the link
	checking  func() (progress bool) // of the writer; nil: it does not check
}

func (s *sim) changePermission() {
	s.forbidden = !s.forbidden
	s.notef("publishes to d are forbidden: %v", s.forbidden)
}

// takeNext lets the NATS server take or refuse the next that was written.
func (s *sim) takeNext() bool {
	if !s.up || len(s.wire) == 0 {
		return false
	}
	next := s.wire[0]
	s.wire = s.wire[1:]
	s.take(next, false)
	return true
}

// take lets the NATS server take or refuse an attempt, or answer a PING. lost says that what
// it answers does not arrive.
func (s *sim) take(w written, lost bool) {
	p := w.sent.publish
	switch {
	case w.pong != nil:
		if !lost {
			w.pong()
		}
	case s.forbidden && p.subject == "d":
		s.notef("%s is forbidden, attempt %d", p.name, w.sent.attempt)
		if !lost {
			s.news = append(s.news, func() { s.out.Forbidden("d", fmt.Errorf("%w: d", errForbidden)) })
		}
	default:
		s.onTheWay = append(s.onTheWay, w.sent)
	}
}

// cutWire says that the link is gone: some of what was written has arrived, the rest is lost.
func (s *sim) cutWire() {
	arrived := s.rand.IntN(len(s.wire) + 1)
	for _, w := range s.wire[:arrived] {
		s.take(w, true)
	}
	s.wire = nil
}

// beginCheck begins a check of the writer, which does nothing else until it has ended.
func (s *sim) beginCheck() {
	s.notef("the writer checks")
	link, epoch, ponged, heardBy := s.link, s.epoch, s.mistake == ignoresPong, 0
	if s.up {
		s.wire = append(s.wire, written{pong: func() { ponged, heardBy = true, s.heard+len(s.news) }})
	}
	s.checking = func() (progress bool) {
		conclusive := ponged && (s.heard >= heardBy || s.mistake == ignoresCallbacks)
		switch {
		case s.epoch != epoch: // it is made again
			s.checking = nil
			return true
		case conclusive, !s.up, s.link != link:
			s.checking = nil
			s.notef("the check ends: %v", conclusive)
			for _, outcome := range s.out.Checked(conclusive) {
				outcome.Tell()
			}
			return true
		default:
			return false
		}
	}
}

func (s *sim) tellDecided() {
	for _, outcome := range s.out.TakeDecided() {
		outcome.Tell()
	}
}
