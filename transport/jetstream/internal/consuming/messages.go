package consuming

import (
	"fmt"
	"time"
)

// unacked is a message that was delivered and not acknowledged.
type unacked struct {
	reply  string    // where the server expects the acknowledgement
	stored time.Time // what tells it from a message that has the sequence in another stream
	at     time.Time // when it was delivered
	// awaiting: nobody here has the message any more, and the server sends it again. It
	// takes no room until then.
	awaiting bool
}

// Message is what a delivery tells of its message.
type Message struct {
	OtherSubject     bool   // it is not of the subject that the subscription listens to
	Sequence         uint64 // in the stream
	ConsumerSequence uint64 // counts the consumer's deliveries
	Stored           time.Time
	Reply            string
	Again            bool   // it was delivered before
	Pending          uint64 // how many messages of the subject the consumer had not delivered then
}

// Delivered takes in a message, and reports whether to hand it up. If not, it is given
// back. epoch goes with the message, for [Machine.Current] and [Machine.Settled].
func (m *Machine) Delivered(now time.Time, round uint64, msg Message) (epoch uint64, handUp bool) {
	if round == m.round {
		m.heardAt = now
		m.served()
		m.requests.arrived()
		m.arrivedAt = now
	}
	before, known := m.unacked[msg.Sequence]
	if (known && !before.stored.Equal(msg.Stored) || m.passed.shows(msg)) && round >= m.since && !m.stopped {
		m.wentBack(now, fmt.Sprintf("message %d is another one than before", msg.Sequence))
	}
	switch {
	case m.stopped, round < m.since: // in the second case its request is older than what is known of the stream
		m.emit(Effect{Do: GiveBack, Reply: msg.Reply})
		return m.epoch, false
	case (!known || before.awaiting) && m.held() >= m.config.MaxInFlight:
		m.resume.delivered(round, msg)
		m.passed.delivered(msg)
		m.await(msg.Sequence, msg.Stored)
		m.emit(Effect{Do: GiveBack, Reply: msg.Reply})
		return m.epoch, false
	}
	if msg.OtherSubject { // the consumer's filter was changed
		m.resume.delivered(round, msg)
		m.passed.delivered(msg)
		m.await(msg.Sequence, msg.Stored)
		m.emit(Effect{Do: GiveBack, Reply: msg.Reply, Delay: notOfSubjectWait})
		m.lookSoon(now)
		m.pull(now)
		return m.epoch, false
	}
	m.resume.delivered(round, msg)
	if m.passed.delivered(msg) {
		m.lookSoon(now)
	}
	if before.awaiting {
		m.awaiting--
	}
	m.unacked[msg.Sequence] = unacked{reply: msg.Reply, stored: msg.Stored, at: now}
	m.pull(now)
	return m.epoch, true
}

// notOfSubjectWait is after what time a message comes again that is not of the subject: by then
// the consumer's filter may have been set back.
const notOfSubjectWait = time.Minute

// Last reports whether the consumer delivers a message no more that it has delivered so often.
func (m *Machine) Last(deliveries uint64) bool {
	return m.limits.deliver > 0 && deliveries >= uint64(m.limits.deliver)
}

// held returns how many messages take room.
func (m *Machine) held() int { return len(m.unacked) - m.awaiting }

// Current reports whether a message of that epoch is of the stream that is there now.
// An acknowledgement of another stream's message must not be sent: it would be taken
// for that of the message that has the sequence now.
func (m *Machine) Current(epoch uint64) bool { return epoch == m.epoch }

// Outcome is what became of a message.
type Outcome int

// The outcomes.
const (
	// Done: the message was acknowledged or terminated, and does not come again.
	Done Outcome = iota
	// GivenBack: the message was negatively acknowledged, and comes again.
	GivenBack
	// Released: the receiver of the message does not settle it. It comes again when its
	// ack wait has passed.
	Released
)

// Settled makes room for another message. epoch, sequence and reply are those of the
// delivery.
func (m *Machine) Settled(now time.Time, epoch, sequence uint64, reply string, outcome Outcome) {
	u, known := m.unacked[sequence]
	if !known || epoch != m.epoch {
		return
	}
	switch outcome {
	case Done:
		if u.awaiting {
			m.awaiting--
		}
		delete(m.unacked, sequence)
		m.resume.outdated = true
	case Released:
		if u.reply != reply || m.stopped {
			return // a later delivery of it is here; or Close gives it back, so that it comes again at once
		}
		m.await(sequence, u.stored)
	case GivenBack:
		m.await(sequence, u.stored)
	}
	m.pull(now)
}

// await makes room of a message that nobody here has and that comes again. The member
// of a group forgets it, since another member may get it.
func (m *Machine) await(sequence uint64, stored time.Time) {
	u, known := m.unacked[sequence]
	switch {
	case m.config.Shared:
		delete(m.unacked, sequence)
	case !known || !u.awaiting:
		m.unacked[sequence] = unacked{reply: u.reply, stored: stored, awaiting: true}
		m.awaiting++
	}
}

// forget begins an epoch: the sequences that are known are those of messages that are
// gone.
func (m *Machine) forget() {
	clear(m.unacked)
	m.awaiting = 0
	m.answers.Clear()
	m.resume = resume{floor: 1}
	m.passed = passed{limit: m.config.PerSubject}
	m.epoch++
	m.since = m.round + 1
}

// resume is what is known of how far the consumer has come, so that one that was
// deleted can be made again at the right place.
type resume struct {
	floor    uint64 // the server says: all below is acknowledged, by all members together
	outdated bool   // something was delivered or acknowledged since floor was asked for

	since uint64 // the first round with this consumer
	top   uint64 // the highest stream sequence that it delivered to this subscription
	last  uint64 // the consumer sequence of its last delivery

	// unseen: deliveries up to this stream sequence may have gone elsewhere: to an earlier
	// subscription, or into a link that was cut. What became of them is not known here.
	unseen uint64
	missed bool // since then a delivery did not come here
}

// delivered takes in a message that came here.
func (r *resume) delivered(round uint64, msg Message) {
	r.outdated = true
	if round < r.since {
		return // the consumer before delivered it
	}
	if msg.ConsumerSequence != r.last+1 {
		r.missed = true
	}
	r.last = msg.ConsumerSequence
	r.top = max(r.top, msg.Sequence)
}

// learn takes in what the server says of the consumer.
func (r *resume) learn(info Info) {
	r.floor = info.AckFloor + 1
	if r.missed {
		r.missed = false
		r.unseen = info.Delivered
	}
}

// resumeAt returns the first sequence that may not have been handled.
func (m *Machine) resumeAt() uint64 {
	r := &m.resume
	if m.config.Shared || r.top == 0 || r.missed || r.floor <= r.unseen {
		return max(r.floor, 1) // what lies above may be unhandled elsewhere
	}
	next := uint64(never)
	for sequence := range m.unacked {
		next = min(next, sequence)
	}
	return min(next, r.top+1)
}
