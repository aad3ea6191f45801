package stan

import (
	"errors"
	"time"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// machine is the supervisor of a connection: it decides what is done about what
// happens. It is a state machine: what happened goes in, what to do comes out as
// effects, and it starts nothing, waits for nothing and has no lock. The shell
// around it is conn.
//
// A session is what the streaming server knows the client by; a new one has to
// take its place when the server has given it up. Below it the NATS connection may
// be cut and come back. An epoch is a time during which neither happened: what was
// sent or asked for in an earlier one may have been lost, and its answers say
// nothing any more.
type machine struct {
	phase   phase
	epoch   uint64 // the first is 1
	session uint64 // the first is 1; each attempt to begin one has a number of its own
	early   error  // why the session that is being dialed is over already
	wire    wire   // of the session; not the machine's to use
	attempt int    // of those in a row that failed
	ailing  string // what keeps it from coming back, as it was told
	outbox  *outbox.Outbox
	members map[*member]struct{}
	orphans []stan.Subscription // left while the link was cut: the session still has them
	effects []effect
}

type phase int

const (
	phaseUp       phase = iota // all works
	phaseCut                   // the NATS connection is gone, and comes back by itself
	phaseChecking              // it is back: does the server know the session still?
	phaseDialing               // the session is over; an attempt to begin another is under way
	phasePausing               // until the next attempt
	phaseOver                  // closed
)

func (p phase) String() string {
	return [...]string{"up", "cut", "checking", "dialing", "pausing", "over"}[p]
}

// member is a subscription as the machine sees it.
type member struct {
	state  memberState
	epoch  uint64            // in which inner was joined
	inner  stan.Subscription // where state is open; not the machine's to use
	known  bool              // whoever asked for it was told that it is open
	ailing bool              // whoever watches was told that it can't be opened again

	anew    bool // to be opened anew as soon as it is open
	attempt int
	sub     *subscription // the shell's side of it; the machine does not look at it
}

type memberState int

const (
	memberAway    memberState = iota // to be opened when there is a session
	memberJoining                    // being opened
	memberOpen
	memberPausing // the server refused it; until the next attempt
	memberGone    // closed
)

// action is what an effect does.
type action int

const (
	dialWire   action = iota // begin a session
	pauseDial                // for after, then pauseOver
	checkWire                // after that time ask the server whether it knows the session
	dropWire                 // end wire without a word
	joinMember               // close inner, if there is one, then open the subscription
	pauseJoin                // for after, then retry
	leaveInner               // after that time close inner, then left
	voidMember               // what it delivered and nobody has begun is void: it comes again
	tellMember               // whoever asked for the subscription: it is open, or err
	tellOwner                // of event
	wakeWriter
	pauseOutbox // for after, then answersOver
)

// grace is how long the answers to publishes that went into a link that was cut are
// waited for when it is back, and after each that comes: a server that was frozen
// answers them now. What has none by then is sent once more.
const grace = 200 * time.Millisecond

type effect struct {
	do      action
	epoch   uint64
	session uint64
	wire    wire
	member  *member
	inner   stan.Subscription
	after   time.Duration
	err     error
	event   transport.Event
}

func (m *machine) add(e effect) {
	e.epoch, e.session = m.epoch, m.session
	m.effects = append(m.effects, e)
}

// take returns the effects that have come together.
func (m *machine) take() []effect {
	all := m.effects
	m.effects = nil
	return all
}

// newMachine is one that waits for its first session.
func newMachine() machine {
	return machine{phase: phaseDialing, session: 1, members: make(map[*member]struct{}), outbox: outbox.New(outbox.Policy{MaxRetries: maxRefusals})}
}

// begin is the first session.
func (m *machine) begin(w wire) {
	m.phase, m.epoch, m.wire = phaseUp, 1, w
	m.outbox.Connected(false)
	if m.early != nil {
		m.lost(m.session, m.early)
	}
}

// cut: the NATS connection below that session is gone.
func (m *machine) cut(session uint64, err error) {
	m.foretold(session, err)
	if session != m.session || m.phase != phaseUp && m.phase != phaseChecking {
		return
	}
	if m.phase == phaseUp {
		m.interrupted(err)
	}
	m.phase = phaseCut
	m.epoch++
	m.outbox.Disconnected()
}

// interrupted tells those whom it concerns that the connection is not whole.
func (m *machine) interrupted(err error) {
	m.add(effect{do: tellOwner, event: transport.Event{Kind: transport.Disconnected, Err: err}})
	for s := range m.members {
		m.add(effect{do: voidMember, member: s})
	}
}

// back: the NATS connection below that session is there again.
func (m *machine) back(session uint64) {
	if session != m.session || m.phase != phaseCut {
		return
	}
	m.phase = phaseChecking
	m.add(effect{do: checkWire, wire: m.wire})
}

// checked: the server was asked in that epoch, and err is what came of it.
func (m *machine) checked(epoch uint64, err error) {
	if epoch != m.epoch || m.phase != phaseChecking {
		return
	}
	switch {
	case err == nil, errors.Is(err, transport.ErrUnsupported):
		m.whole(transport.Event{Kind: transport.Reconnected})
	case errors.Is(err, errUnknown):
		m.lost(m.session, err)
	default: // silence
		m.add(effect{do: checkWire, wire: m.wire, after: again.First})
	}
}

// lost: that session is over. The old connection is never closed with a request:
// that would end whoever has the client ID by now.
func (m *machine) lost(session uint64, err error) {
	m.foretold(session, err)
	if session != m.session || m.phase >= phaseDialing {
		return
	}
	if m.phase == phaseUp {
		m.interrupted(err)
	}
	m.epoch++
	m.outbox.Disconnected()
	m.attempt = 0
	m.orphans = nil // with the session
	for s := range m.members {
		s.inner = nil // likewise
		if s.state == memberOpen || s.state == memberPausing {
			s.state = memberAway
		}
	}
	m.add(effect{do: dropWire, wire: m.wire})
	m.wire = nil
	m.dial()
}

// foretold: that was told before the attempt itself has told that it succeeded. The
// session is not taken then: what it was told, it would not be told again.
func (m *machine) foretold(session uint64, err error) {
	if session == m.session && m.phase == phaseDialing {
		m.early = err
	}
}

// dial begins an attempt. What is heard of an earlier one, late, is not taken for
// this one's.
func (m *machine) dial() {
	m.phase = phaseDialing
	m.session++
	m.early = nil
	m.add(effect{do: dialWire})
}

// dialed: an attempt to begin a session is over.
func (m *machine) dialed(w wire, err error) {
	if m.phase != phaseDialing {
		if w != nil { // it was closed meanwhile
			m.add(effect{do: dropWire, wire: w})
		}
		return
	}
	if err == nil && m.early != nil {
		m.add(effect{do: dropWire, wire: w})
		err = m.early
	}
	if err != nil {
		m.attempt++
		m.phase = phasePausing
		m.ails(reasonOf(err), err)
		m.add(effect{do: pauseDial, after: again.Delay(m.attempt)})
		return
	}
	m.wire = w
	m.epoch++
	m.whole(transport.Event{Kind: transport.SessionReplaced})
}

// pauseOver: it is time for the next attempt.
func (m *machine) pauseOver() {
	if m.phase == phasePausing {
		m.dial()
	}
}

// ails tells the owner what keeps the connection from coming back, once each.
func (m *machine) ails(reason string, err error) {
	if reason == m.ailing {
		return
	}
	if m.ailing != "" {
		m.add(effect{do: tellOwner, event: transport.Event{Kind: transport.Recovered, Reason: m.ailing}})
	}
	m.ailing = reason
	if reason != "" {
		m.add(effect{do: tellOwner, event: transport.Event{Kind: transport.Degraded, Reason: reason, Err: err}})
	}
}

// reasonOf names what an attempt failed for. That there is no server is no more
// than that the connection is gone.
func reasonOf(err error) string {
	for _, known := range []error{transport.ErrClientIDTaken, transport.ErrUnauthorized, transport.ErrForbidden, transport.ErrNoCluster, transport.ErrRefused} {
		if errors.Is(err, known) {
			return "can't come back: " + known.Error()
		}
	}
	return ""
}

// whole begins an epoch: all that was going on goes on.
func (m *machine) whole(event transport.Event) {
	m.phase = phaseUp
	m.attempt = 0
	m.ails("", nil)
	m.add(effect{do: tellOwner, event: event})
	for _, inner := range m.orphans {
		m.add(effect{do: leaveInner, inner: inner})
	}
	m.orphans = nil
	for s := range m.members {
		// Those that are open, too: what the server had sent into the connection that
		// is gone would wait out its ack wait, and comes at once to one that joins.
		if s.state == memberAway || s.state == memberOpen {
			m.join(s)
		}
	}
	m.sendPublishes(m.outbox.Connected(event.Kind == transport.Reconnected))
}

// subscribe adds a member, to be opened now or when there is a session.
func (m *machine) subscribe(s *member) {
	m.members[s] = struct{}{}
	if m.phase == phaseUp {
		m.join(s)
	}
}

func (m *machine) join(s *member) {
	inner := s.inner
	s.state, s.epoch, s.inner, s.anew = memberJoining, m.epoch, nil, false
	m.add(effect{do: joinMember, wire: m.wire, member: s, inner: inner})
}

// rejoin opens a member anew, to begin from another position. If it is not open yet,
// or there is no session, it is so when it is.
func (m *machine) rejoin(s *member) {
	switch {
	case s.state == memberJoining:
		s.anew = true
	case s.state == memberOpen && m.phase == phaseUp:
		m.join(s)
	}
}

// joined: an attempt to open a member, begun in that epoch and session, is over. With
// an error, inner is what could not be closed before.
func (m *machine) joined(s *member, epoch, session uint64, inner stan.Subscription, err error) {
	if session == m.session && (leavesGhost(err) || endsSession(err)) {
		// The server may have the subscription, and would deliver to nobody; asked again,
		// it says that there is one already. Or it does not know the client any more. Only
		// a new session helps.
		m.lost(session, err)
	}
	if s.state == memberGone {
		m.orphan(session, inner, 0)
		return
	}
	if epoch != m.epoch {
		s.state = memberAway
		if session == m.session {
			s.inner = inner // closed before it is opened again
		}
		if m.phase == phaseUp {
			m.join(s)
		}
		return
	}
	switch {
	case err == nil:
		s.state, s.inner, s.attempt = memberOpen, inner, 0
		m.memberAils(s, nil)
		if !s.known {
			s.known = true
			m.add(effect{do: tellMember, member: s})
		}
		if s.anew {
			m.join(s)
		}
	case isUnconnected(err): // which the machine is about to be told
		s.state, s.inner = memberAway, inner
	case !s.known && inner == nil: // it is for whoever asked to decide
		delete(m.members, s)
		s.state = memberGone
		m.add(effect{do: tellMember, member: s, err: err})
	default:
		s.state, s.inner = memberPausing, inner
		s.attempt++
		m.memberAils(s, err)
		m.add(effect{do: pauseJoin, member: s, after: again.Delay(s.attempt)})
	}
}

// memberAils tells the owner that a member can't be opened again, or can.
func (m *machine) memberAils(s *member, err error) {
	if s.ailing == (err != nil) {
		return
	}
	s.ailing = err != nil
	kind := transport.Degraded
	if err == nil {
		kind = transport.Recovered
	}
	m.add(effect{do: tellOwner, member: s, event: transport.Event{Kind: kind, Err: err}})
}

// retry: it is time for the next attempt to open a member.
func (m *machine) retry(s *member) {
	if s.state != memberPausing {
		return
	}
	s.state = memberAway
	if m.phase == phaseUp {
		m.join(s)
	}
}

// remove takes a member out, and returns what is to be closed, if that can be
// done now.
func (m *machine) remove(s *member) stan.Subscription {
	if s.state == memberGone {
		return nil
	}
	inner, joining := s.inner, s.state == memberJoining
	delete(m.members, s)
	s.state, s.inner = memberGone, nil
	m.memberAils(s, nil)
	if inner != nil && m.phase == phaseUp && s.epoch == m.epoch && !joining {
		return inner
	}
	m.orphan(m.session, inner, 0)
	return nil
}

// left: what nobody wants any more was to be closed in that session, and err is what
// came of it. Where the server may not have heard of it, it would go on delivering.
func (m *machine) left(inner stan.Subscription, session uint64, err error) {
	if isUnheard(err) {
		m.orphan(session, inner, again.First)
	}
}

// orphan closes what nobody wants any more, after that time or when the link is back.
func (m *machine) orphan(session uint64, inner stan.Subscription, after time.Duration) {
	switch {
	case inner == nil || session != m.session:
	case m.phase == phaseUp:
		m.add(effect{do: leaveInner, inner: inner, after: after})
	case m.phase == phaseCut || m.phase == phaseChecking:
		m.orphans = append(m.orphans, inner)
	}
}

// end is the last thing that happens.
func (m *machine) end() {
	m.phase = phaseOver
	m.epoch++
	m.outbox.Disconnected()
}
