package consuming

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sgtickets/common/transport"
)

// simMember is a subscription: the real machine, and a shell and a listener that are
// simulated.
type simMember struct {
	sim     *sim
	name    string
	machine *Machine
	spare   []Effect
	link    *simLink // nil: it is cut

	inbox    string          // of the current round
	open     map[string]bool // inboxes that are not closed
	asked    map[string]int  // by inbox: what was asked for and has not come
	handling map[string]time.Time
	alarmAt  time.Time
	sent     int // requests and questions that went into a link
	stream   int // the stream that the machine was told of

	questions []*simQuestion // that are not answered

	held     map[simIdentity]*simDelivery // what the listener has
	acked    map[simIdentity]bool         // what it acknowledged
	stopped  bool
	closed   bool
	dead     bool // the process was killed
	degraded map[string]bool
}

// simQuestion is a question to JetStream's API.
type simQuestion struct {
	effect Effect
	over   bool   // the machine was told the answer, or that there is none
	tell   func() // tells the machine the server's answer; nil: it has not answered
}

// simDelivery is a message as the listener has it.
type simDelivery struct {
	msg    Message
	epoch  uint64
	origin int
}

func (d *simDelivery) id() simIdentity { return simIdentity{d.origin, d.msg.Sequence} }

// join begins a member, which finds the consumer or creates it.
func (s *sim) join() {
	if !s.shared && len(s.alive()) > 0 || len(s.alive()) >= 4 || s.server.stream == nil {
		return
	}
	if s.server.consumer() == nil {
		if s.bindOnly {
			return
		}
		s.createConsumer(0)
	}
	s.numbers++
	m := &simMember{
		sim: s, name: fmt.Sprintf("member %d", s.numbers), open: make(map[string]bool), asked: make(map[string]int),
		handling: make(map[string]time.Time), held: make(map[simIdentity]*simDelivery),
		acked: make(map[simIdentity]bool), degraded: make(map[string]bool), stream: s.server.stream.number,
	}
	config := Config{
		Consumer: "c", Subject: "a", Shared: s.shared, BindOnly: s.bindOnly, MaxInFlight: s.maxInFlight,
		Backoff: func(attempt int) time.Duration {
			return min(100*time.Millisecond<<min(attempt-1, 2), 400*time.Millisecond) - s.upTo(50*time.Millisecond)
		},
	}
	if s.chance(30) {
		config.Room = func() int { return s.rand.IntN(s.maxInFlight + 2) }
	}
	m.machine = New(config)
	m.connect()
	s.members = append(s.members, m)
	s.notef("%s joins", m.name)
	m.step(func() {
		m.machine.Begin(s.now, s.server.info(), s.server.stream.created)
		m.machine.Look()
	})
}

// alive returns the members that have not left and were not killed.
func (s *sim) alive() []*simMember {
	var alive []*simMember
	for _, m := range s.members {
		if !m.stopped && !m.dead {
			alive = append(alive, m)
		}
	}
	return alive
}

// step is what the shell does: it tells the machine what has happened, performs what the
// machine decides, and sets the alarm.
func (m *simMember) step(event func()) {
	if m.dead {
		return
	}
	event()
	for {
		todo := m.machine.Effects(m.spare)
		m.spare = nil
		if len(todo) == 0 {
			break
		}
		for i := range todo {
			m.perform(&todo[i])
		}
		m.spare = todo
	}
	m.check()
	due := m.machine.Due()
	if !due.Equal(m.alarmAt) && m.sim.mistake != neverWake {
		m.alarmAt = due
		if !due.IsZero() {
			m.sim.events.push(due, func() {
				if m.alarmAt.Equal(due) {
					m.alarmAt = time.Time{}
					m.step(func() { m.machine.Wake(m.sim.now) })
				}
			})
		}
	}
}

// check checks what must hold all the time.
func (m *simMember) check() {
	s := m.sim
	s.mustf(m.machine.held() <= s.maxInFlight, "%s must hold %d messages at most, not %d", m.name, s.maxInFlight, m.machine.held())
	n := 0
	for _, d := range m.held {
		if m.machine.Current(d.epoch) {
			n++
		}
	}
	// Where sequences came a second time, in the same stream or in another that the member was
	// not told of, nobody can tell the messages apart: the acknowledgement of one counts for
	// the other.
	reused := s.server.stream != nil && (s.server.stream.before > 0 || s.server.stream.number != m.stream)
	s.mustf(reused || n <= s.maxInFlight, "the listener of %s must hold %d messages at most, not %d", m.name, s.maxInFlight, n)
	s.mustf(len(m.questions) <= 2, "%s must not ask more while %d questions are not answered", m.name, len(m.questions))
	awaiting := 0
	for _, u := range m.machine.unacked {
		if u.awaiting {
			awaiting++
		}
	}
	s.mustf(awaiting == m.machine.awaiting, "%s must count right what awaits redelivery", m.name)
}

// perform performs an effect.
func (m *simMember) perform(e *Effect) {
	s := m.sim
	switch e.Do {
	case OpenInbox:
		m.closeInbox(m.inbox)
		m.inbox = fmt.Sprintf("%s, round %d", m.name, e.Round)
		m.open[m.inbox] = true
		m.subscribe(m.inbox)
	case CloseInbox:
		m.closeInbox(m.inbox)
	case Pull:
		m.pull(e)
	case FindConsumer, CheckConsumer, FindStream, CreateConsumer:
		m.ask(*e)
	case GiveBack:
		if s.mistake != keepWhatIsHeld && (s.mistake != dropWhatArrives || !m.stopped) {
			m.sendAfter(e.Reply, "-NAK", e.Delay)
		}
	case SendAnswer:
		if s.mistake != neverAnswerAgain {
			m.send(e.Reply, string(e.Answer))
		}
	case UseAckWait:
		s.notef("%s: the ack wait is %v", m.name, e.Delay)
	case Tell:
		m.tell(e.Event)
	case Log:
		s.notef("%s: %s %v", m.name, e.Text, e.Attrs)
	case Drained:
		s.mustf(m.stopped, "%s must be drained once it has stopped", m.name)
		m.close()
	case Closed:
		m.closed = true
	}
}

func (m *simMember) tell(e transport.Event) {
	m.sim.notef("%s tells: %v %s %v", m.name, e.Kind, e.Reason, e.Err)
	switch e.Kind { //nolint:exhaustive // no others are told
	case transport.MessagesRemoved:
		m.removed(e.Removed)
	case transport.Degraded:
		m.degraded[e.Reason] = true
	case transport.Recovered:
		m.sim.mustf(m.degraded[e.Reason], "%s must not recover from what it did not tell", m.name)
		delete(m.degraded, e.Reason)
	}
}

// removed checks what the member tells of messages that were removed. The server may hold
// another stream by the time at which the member is told.
func (m *simMember) removed(r transport.Removed) {
	s := m.sim
	s.told += r.Count
	s.mustf(r.First <= r.Last && r.Count <= r.Last-r.First+1, "%s must tell what can be: %v", m.name, r)
	if stream := s.server.stream; stream != nil && stream.number == m.stream && stream.before == 0 {
		s.mustf(r.Last < stream.first, "%s must not tell that messages up to %d are gone: the first is %d", m.name, r.Last, stream.first)
	}
}

// pull sends a request. There must be room for all that can come of it and of those before.
func (m *simMember) pull(e *Effect) {
	s := m.sim
	n := m.machine.held() + m.asked[m.inbox] + e.Batch
	s.mustf(n <= s.maxInFlight, "%s must not ask for more than there is room for: %d are here, %d were asked for, %d are now", m.name, m.machine.held(), m.asked[m.inbox], e.Batch)
	if s.mistake == forgetRequests {
		m.machine.requests.outstanding = 0
	}
	if m.link == nil {
		m.step(func() { m.machine.NotSent(e.Round, e.Batch) })
		return
	}
	inbox := m.inbox
	m.asked[inbox] += e.Batch
	m.sent++
	r := &simRequest{inbox: inbox, lacking: e.Batch, beat: e.Beat}
	m.link.toServer(func() {
		r.expires = s.now.Add(e.Expires)
		s.server.pull(r)
	})
}

// apiWait is how long a question waits for its answer.
const apiWait = 5 * time.Second

var errSimSilence = errors.New("no answer")

// ask asks JetStream's API. A question for which there is no link, or whose link is cut, is
// not answered; it is given up when there is a link again.
func (m *simMember) ask(e Effect) {
	s, link := m.sim, m.link
	q := &simQuestion{effect: e}
	m.questions = append(m.questions, q)
	s.after(apiWait, func() {
		if link != nil && m.link == link || s.mistake == waitForLostQuestion {
			m.end(q)
		}
	})
	if link == nil {
		return
	}
	m.sent++
	link.toServer(func() {
		if s.silent || s.server.stopped {
			return
		}
		info, stream, number, gone, err := m.api(e)
		if s.trouble && s.chance(3) {
			return // the answer is lost
		}
		link.toClient("", func() {
			q.tell = func() { m.answer(e, info, stream, number, gone, err) }
			m.end(q)
		})
	})
}

// end tells the machine the answer to a question, or that there is none.
func (m *simMember) end(q *simQuestion) {
	if q.over {
		return
	}
	q.over = true
	m.questions = slices.DeleteFunc(m.questions, func(other *simQuestion) bool { return other == q })
	m.step(func() {
		if q.tell == nil {
			m.answer(q.effect, Info{}, Stream{}, 0, false, errSimSilence)
			return
		}
		q.tell()
	})
}

// giveUp gives up the questions that were asked before the link was replaced. What the
// machine is told of them comes late.
func (m *simMember) giveUp() {
	given := m.questions
	m.questions = nil
	for _, q := range given {
		m.sim.after(m.sim.latency(), func() { m.end(q) })
	}
}

// answer takes in an answer. number is that of the stream.
func (m *simMember) answer(e Effect, info Info, stream Stream, number int, gone bool, err error) {
	now := m.sim.now
	m.sim.notef("%s: %v is answered: %v", m.name, e.Do, err)
	switch e.Do {
	case FindStream:
		current := m.machine.healing.call == e.Call && m.machine.healing.phase == findingStream && !m.stopped
		m.machine.StreamFound(now, e.Call, stream, err)
		if err == nil && current {
			m.stream = number
		}
	case CreateConsumer:
		m.machine.ConsumerCreated(now, e.Call, info, err)
	default:
		lost := m.machine.Unanswered()
		m.machine.ConsumerFound(now, e.Call, info, gone, err)
		if lost {
			m.checkAcks()
		}
	}
}

var errSimGone = errors.New("not found")

// api is what the server answers.
func (m *simMember) api(e Effect) (info Info, stream Stream, number int, gone bool, err error) {
	s := m.sim
	switch {
	case e.Do == FindStream && s.server.stream == nil:
		if s.bindOnly {
			return info, stream, 0, false, errSimGone
		}
		s.notef("the stream is made anew")
		s.server.createStream()
	case e.Do == FindStream:
	case s.server.stream == nil:
		return info, stream, 0, true, errSimGone
	case e.Do == CreateConsumer && s.server.consumer() == nil:
		from := e.Sequence
		if s.mistake == resumeAtNew {
			from = s.server.stream.last + 1
		}
		s.notef("the consumer is made again, from %d", from)
		if m.stream != s.server.stream.number { // the stream was replaced after the member looked
			s.server.stream.skipped = from
		}
		s.createConsumer(from)
	case s.server.consumer() == nil:
		return info, stream, 0, true, errSimGone
	}
	if e.Do == FindStream {
		return info, Stream{Created: s.server.stream.created, LastSequence: s.server.stream.last, Stored: s.server.storedAt(e.Sequence)}, s.server.stream.number, false, nil
	}
	return s.server.info(), stream, 0, false, nil
}
