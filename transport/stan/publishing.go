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

// publish takes a publish in.
func (m *machine) publish(msg transport.Message, r transport.Receipt) (transport.Ticket, error) {
	return m.outbox.Add(msg, r)
}

// next returns what the writer is to send now, nil for nothing.
func (m *machine) next() *outbox.PendingPublish {
	p, _ := m.outbox.Next(time.Time{}) // a publish may always be sent again, so that Next decides none
	return p
}

// onWritten says that the writer has sent p in that epoch, or failed with err. It reports
// whether there is no connection, of which the supervisor may not have been told yet.
func (m *machine) onWritten(p *outbox.PendingPublish, epoch uint64, err error) (outcome outbox.Outcome, unconnected bool) {
	unsent, final := notSent(err)
	if final != nil {
		outcome = m.outbox.NotStored(p.Ticket(), p.Attempt(), final)
	}
	m.outbox.Written(p, unsent)
	return outcome, unsent && epoch == m.epoch
}

// onAnswered says that the server has answered that attempt; err is nil if it has stored
// the publish.
func (m *machine) onAnswered(t transport.Ticket, attempt outbox.Attempt, err error) outbox.Outcome {
	if err == nil {
		return m.outbox.Stored(t)
	}
	awaited := m.outbox.Awaits(t, attempt)
	if isGivenUp(err) && m.outbox.RefusedForNow(t, attempt, time.Time{}) {
		if awaited {
			m.lost(m.session, errUnknown) // the next session sends it again
		}
		return outbox.Outcome{}
	}
	cause, notStored := causeOf(err)
	if notStored {
		return m.outbox.NotStored(t, attempt, cause)
	}
	return m.outbox.Ambiguous(t, attempt, cause)
}

// abandon decides a publish that nobody waits for any more.
func (m *machine) abandon(t transport.Ticket) outbox.Outcome { return m.outbox.Abandon(t) }

// onGraceOver says that the time for late answers has passed in that epoch.
func (m *machine) answersOver(epoch uint64) {
	if epoch == m.epoch {
		m.sendPublishes(m.outbox.GraceOver())
	}
}

// sendPublishes lets the writer go on, or, if wait is true, waits for late answers first.
func (m *machine) sendPublishes(wait bool) {
	if wait {
		m.add(effect{do: pauseOutbox, after: grace})
	} else {
		m.add(effect{do: wakeWriter})
	}
}
