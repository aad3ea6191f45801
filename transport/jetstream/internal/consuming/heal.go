package consuming

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sgtickets/common/transport"
)

// healing is the search for a consumer that is gone, or for the stream that it was in.
type healing struct {
	phase   phase
	call    uint64    // the number of the question that is out
	retryAt time.Time // when the next attempt begins; zero: one is under way
	attempt int       // how many attempts have failed
	inARow  int       // how often the consumer was found since the server last served a request

	degraded bool // the owner was told that the consumer can't be found or created
	toldAt   time.Time
	told     string // the error that the last attempt failed with
}

// phase is how far an attempt has come.
type phase int

const (
	notHealing phase = iota
	pausing          // until the next attempt
	findingStream
	findingConsumer
	creatingConsumer
)

// ask asks for the consumer's state, and begins a new round once the answer is there,
// if restart. While a question is out, there is no second one.
func (m *Machine) ask(restart bool) {
	if m.asking != 0 {
		m.restarts = m.restarts || restart
		return
	}
	if m.healing.phase != notHealing {
		return
	}
	m.asking, m.restarts, m.abandoned = m.number(), restart, false
	m.resume.outdated = false
	m.emit(Effect{Do: FindConsumer, Call: m.asking})
}

// number returns the number of the next question, and notes what is known when it is asked.
func (m *Machine) number() uint64 {
	m.calls++
	m.noteAsked()
	return m.calls
}

// asked is what was known when the latest question was asked. That what the server says is
// behind what is known now means nothing: a message may have come since the server answered.
type asked struct {
	passed uint64 // the consumer had passed all up to this stream sequence
	last   uint64 // the consumer sequence of its last delivery
}

func (m *Machine) noteAsked() { m.asked = asked{m.passed.sequence, m.resume.last} }

// ConsumerFound takes the answer to [FindConsumer]. gone: the consumer or its stream
// does not exist.
func (m *Machine) ConsumerFound(now time.Time, call uint64, info Info, gone bool, err error) {
	switch {
	case call == m.asking:
		m.asking = 0
		if m.running() && !m.abandoned {
			m.answered(now, info, gone, err)
		}
	case call != m.healing.call || m.healing.phase != findingConsumer || m.stopped:
	case err == nil:
		m.healed(now, info)
	case gone && !m.config.BindOnly:
		m.create()
	default:
		m.failed(now, err)
	}
}

// answered takes in the consumer's state.
func (m *Machine) answered(now time.Time, info Info, gone bool, err error) {
	switch {
	case gone:
		m.heal(now, "it is gone")
	case err != nil:
		m.resume.outdated = true
	case !info.Created.Equal(m.consumer):
		m.heal(now, "it was made anew") // and the stream may have been, too
	default:
		m.AnswerAgain(now, info)
		m.learn(info)
		m.noteHindrances(now, info)
		m.lookAt(now, info)
		if m.restarts && m.healing.phase == notHealing {
			m.restart(now, "the server did not answer")
		}
		if m.lookAgain {
			m.lookAgain = false
			m.ask(false)
		}
	}
}

// learn takes in what the server says of the consumer.
func (m *Machine) learn(info Info) {
	m.consumer = info.Created
	if m.ackWait > 0 && m.ackWait != info.AckWait {
		m.emit(Effect{Do: UseAckWait, Delay: info.AckWait})
	}
	m.ackWait = info.AckWait
	m.limits = limits{batch: info.MaxBatch, expires: info.MaxExpires, deliver: info.MaxDeliver}
	m.resume.learn(info)
}

// heal finds the consumer, or creates it again, and then begins a new round. Until
// then nothing is asked for.
func (m *Machine) heal(now time.Time, why string) {
	if m.healing.phase != notHealing {
		return
	}
	m.log(slog.LevelDebug, "looking for the consumer", slog.String("why", why))
	m.abandoned = true // the answer may be about the consumer that is gone
	h := &m.healing
	h.attempt = 0
	h.inARow++
	if h.inARow == 1 {
		m.findStream()
		return
	}
	// It was found just now, and does not serve.
	h.phase = pausing
	h.retryAt = now.Add(m.config.Backoff(h.inARow - 1))
}

func (m *Machine) findStream() {
	m.healing.phase, m.healing.retryAt, m.healing.call = findingStream, time.Time{}, m.number()
	e := Effect{Do: FindStream, Call: m.healing.call}
	if !m.config.BindOnly { // a consumer that is made again must not skip other messages with the sequences of those that came
		e.Sequence = m.passed.top
	}
	m.emit(e)
}

// StreamFound takes the answer to [FindStream].
func (m *Machine) StreamFound(now time.Time, call uint64, stream Stream, err error) {
	if call != m.healing.call || m.healing.phase != findingStream || m.stopped {
		return
	}
	if err != nil {
		m.failed(now, err)
		return
	}
	switch before := m.passed.stored; {
	case !stream.Created.Equal(m.stream.Created): // its owner was told
		m.other, m.restored = true, false
		m.forget()
	case m.restored:
		m.tellRestored()
	case m.passed.top > 0 && !stream.Stored.IsZero() && !stream.Stored.Equal(before):
		m.forget()
		m.tellRestored()
	}
	m.stream = stream
	m.healing.phase, m.healing.call = findingConsumer, m.number()
	find := FindConsumer
	if m.config.BindOnly {
		find = CheckConsumer
	}
	m.emit(Effect{Do: find, Call: m.healing.call})
}

// create creates the consumer again: where all members together stood, or, if the
// stream is another one, at its beginning.
func (m *Machine) create() {
	from := m.resumeAt()
	switch {
	case m.other: // its loss was told
		from = 0
	case from > m.stream.LastSequence+1:
		from = 0
		m.other = true
		m.forget()
		m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.StoreLost, Err: fmt.Errorf(
			"the stream holds less than before, and what it held is lost: consumer %s begins with what it holds now", m.config.Consumer)}})
	default:
		m.log(slog.LevelError, "the consumer was deleted: it is made again and goes on where the group stood; events from there on may come a second time",
			slog.Uint64("sequence", from))
	}
	m.healing.phase, m.healing.call = creatingConsumer, m.number()
	m.emit(Effect{Do: CreateConsumer, Call: m.healing.call, Sequence: from})
}

// ConsumerCreated takes the answer to [CreateConsumer].
func (m *Machine) ConsumerCreated(now time.Time, call uint64, info Info, err error) {
	switch {
	case call != m.healing.call || m.healing.phase != creatingConsumer || m.stopped:
	case err != nil:
		m.failed(now, err)
	default:
		m.healed(now, info)
	}
}

// healed: the consumer is there. It may be another one than before, and what it has
// delivered may have gone elsewhere.
func (m *Machine) healed(now time.Time, info Info) {
	m.recovered(nil)
	m.other = false
	m.unanswered = true // one that was made anew forgets them
	m.AnswerAgain(now, info)
	m.resume = resume{unseen: info.Delivered, last: info.Deliveries, since: m.round + 1}
	m.passed.begin(info)
	m.learn(info)
	m.healing.phase, m.healing.attempt = notHealing, 0
	m.restart(now, "the consumer is there")
}

// failed: the consumer was neither found nor created. It is tried again after a pause. That
// there was no connection says nothing about the consumer, and is not told.
func (m *Machine) failed(now time.Time, err error) {
	h := &m.healing
	if text := err.Error(); text != h.told {
		h.told, h.toldAt = text, time.Time{} // another cause is told at once
	}
	h.attempt++
	h.phase = pausing
	h.retryAt = now.Add(m.config.Backoff(h.attempt))
	if errors.Is(err, transport.ErrConnectionLost) {
		return
	}
	if !h.degraded || now.Sub(h.toldAt) >= tellEvery {
		h.degraded, h.toldAt = true, now
		m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.Degraded, Reason: m.missing(), Err: err}})
	}
}

// recovered takes back what failed has told. why is nil if the consumer is there.
func (m *Machine) recovered(why error) {
	if m.healing.degraded {
		m.healing.degraded = false
		m.emit(Effect{Do: Tell, Event: transport.Event{Kind: transport.Recovered, Reason: m.missing(), Err: why}})
	}
}

func (m *Machine) missing() string {
	return "no events of " + m.config.Subject + " are received: consumer " + m.config.Consumer + " is not there and can't be made"
}
