package consuming

import "time"

// Answer is what is sent to a message's reply subject to settle it.
type Answer struct {
	Sequence uint64
	Reply    string
	Outcome  Outcome
	Text     []byte        // of Done: what is sent
	Delay    time.Duration // of GivenBack: after what time the message is to come again
}

// sentAnswer is an answer that was sent, or that was to be sent while the link was away. The
// server confirms none, so that those that may have gone down with the link are sent again
// when it is back. JetStream ignores what it has had. It takes a late acknowledgement, also of
// a message that another member has by then.
type sentAnswer struct {
	sequence uint64
	reply    string
	text     []byte
	nak      *sentNak // nil: it is no negative acknowledgement
}

// sentNak are the times of a negative acknowledgement. Once the ack wait has passed the
// message may be with another member already, from whom it must not be taken: until is
// before that.
type sentNak struct{ due, until time.Time }

// Answering takes in what is about to be sent for a message of that epoch, and reports whether
// to send it: the message must be of the stream that is there now, see [Machine.Current].
func (m *Machine) Answering(now time.Time, epoch uint64, a Answer) bool {
	if !m.Current(epoch) {
		return false
	}
	sent := sentAnswer{sequence: a.Sequence, reply: a.Reply, text: a.Text}
	if a.Outcome == GivenBack {
		u, known := m.unacked[a.Sequence]
		if !known || u.reply != a.Reply {
			return true // nobody knows when its ack wait passes
		}
		sent.nak = &sentNak{due: now.Add(a.Delay), until: u.at.Add(m.ackWait - m.ackWait/10)}
	}
	m.answers.Add(sent)
	return true
}

// NotAnswered says that an answer could not be sent, since there is no connection.
func (m *Machine) NotAnswered() { m.unanswered = true }

// Unanswered reports whether answers are to be sent again with [Machine.AnswerAgain], once there
// is a connection.
func (m *Machine) Unanswered() bool { return m.unanswered && m.answers.Len() > 0 }

// AnswerAgain sends again what may have gone down with the link, if the consumer is still the
// one that delivered the messages. info is what the server has said of it since the link is
// back. In another consumer, or in one that was put back to an earlier state, a sequence may be
// another message's, which must not be acknowledged.
func (m *Machine) AnswerAgain(now time.Time, info Info) {
	if !m.Unanswered() {
		return
	}
	m.unanswered = false
	if !info.Created.Equal(m.consumer) || info.Deliveries < m.asked.last {
		m.answers.Clear()
		return
	}
	for a := range m.answers.All() {
		u, known := m.unacked[a.sequence]
		switch {
		case a.nak == nil:
			if known && u.awaiting { // it could not be sent, and will be: the message does not come again
				m.awaiting--
				delete(m.unacked, a.sequence)
			}
			m.emit(Effect{Do: SendAnswer, Reply: a.reply, Answer: a.text})
		case now.Before(a.nak.until) && (!known || u.awaiting):
			m.emit(Effect{Do: GiveBack, Reply: a.reply, Delay: max(a.nak.due.Sub(now), 0)})
		}
	}
}
