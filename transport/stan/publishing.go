package stan

import (
	"time"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// maxRefusals bounds how often a publish is sent in a new session because the server
// refused it in the words that it has for clients it has given up. If the server goes on
// refusing it, that is not why, and the publisher is told.
const maxRefusals = 10

// grace is how long the supervisor waits for late answers to publishes when the link is
// back, and again after each time in which some came: a server that was frozen answers
// now. What has no answer by then is sent once more.
const grace = 200 * time.Millisecond

// publish takes a publish in.
func (s *supervisor) publish(m transport.Message, r transport.Receipt) (transport.Ticket, error) {
	return s.outbox.Add(m, r)
}

// next returns what the writer is to send now, nil for nothing.
func (s *supervisor) next() *outbox.PendingPublish {
	p, _ := s.outbox.Next(time.Time{}) // a publish may always be sent again, so that Next decides none
	return p
}

// onWritten says that the writer has sent p in that epoch, or failed with err. It reports
// whether there is no connection, of which the supervisor may not have been told yet.
func (s *supervisor) onWritten(p *outbox.PendingPublish, epoch uint64, err error) (outcome outbox.Outcome, unconnected bool) {
	unsent, final := notSent(err)
	if final != nil {
		outcome = s.outbox.NotStored(p.Ticket(), p.Attempt(), final)
	}
	s.outbox.Written(p, unsent)
	s.tellDecided()
	return outcome, unsent && epoch == s.epoch
}

// onAnswered says that the server has answered that attempt; err is nil if the server has
// stored the publish.
func (s *supervisor) onAnswered(t transport.Ticket, attempt outbox.Attempt, err error) outbox.Outcome {
	defer s.tellDecided()
	if err == nil {
		s.noteAllowed(t)
		return s.outbox.Stored(t, attempt)
	}
	awaited := s.outbox.Awaits(t, attempt)
	if isGivenUp(err) && s.outbox.RefusedForNow(t, attempt, time.Time{}) {
		if awaited {
			s.onSessionLost(s.sessionNo, errUnknown) // the next session sends it again
		}
		return outbox.Outcome{}
	}
	notStored, cause := explainAnswer(err)
	if notStored {
		return s.outbox.NotStored(t, attempt, cause)
	}
	return s.outbox.Ambiguous(t, attempt, cause)
}

// onForbidden says that the NATS server has refused one publish on that subject, in that
// session, for want of a permission, which cause names. The owner is told once, until a later
// publish on the subject is stored: the error of each publish says it, too.
func (s *supervisor) onForbidden(sessionNo uint64, subject string, cause error) {
	if sessionNo != s.sessionNo {
		return
	}
	if _, told := s.forbidden[subject]; !told {
		s.forbidden[subject] = struct{}{}
		s.emit(effect{do: notifyOwner, event: transport.Event{Kind: transport.AsyncError, Err: cause}})
	}
	if s.outbox.Forbidden(subject, cause) {
		s.emit(effect{do: wakeWriter})
	}
}

// noteAllowed says that the streaming server has stored a publish, so that its subject is not
// forbidden, or not any more.
func (s *supervisor) noteAllowed(t transport.Ticket) {
	if len(s.forbidden) == 0 {
		return
	}
	if subject, ok := s.outbox.Subject(t); ok {
		delete(s.forbidden, subject)
	}
}

// onRefusalsChecked ends a check of the writer that was begun in that epoch, see
// outbox.Outbox.Checked.
func (s *supervisor) onRefusalsChecked(epoch uint64, err error) {
	if epoch != s.epoch {
		return // the outbox was told since that the connection is gone, and asks for another check
	}
	for _, outcome := range s.outbox.Checked(err == nil) {
		s.emit(effect{do: tellOutcome, outcome: outcome})
	}
}

// tellDecided has publishers told what the answer to another publish has decided.
func (s *supervisor) tellDecided() {
	for _, outcome := range s.outbox.TakeDecided() {
		s.emit(effect{do: tellOutcome, outcome: outcome})
	}
}

// abandon decides a publish that nobody waits for any more.
func (s *supervisor) abandon(t transport.Ticket) outbox.Outcome { return s.outbox.Abandon(t) }

// onGraceOver says that the time for late answers has passed in that epoch.
func (s *supervisor) onGraceOver(epoch uint64) {
	if epoch == s.epoch {
		s.startPublishing(s.outbox.GraceOver())
	}
}

// startPublishing lets the writer go on, or, if wait is true, waits for late answers first.
func (s *supervisor) startPublishing(wait bool) {
	if wait {
		s.emit(effect{do: pausePublishing, after: grace})
	} else {
		s.emit(effect{do: wakeWriter})
	}
}
