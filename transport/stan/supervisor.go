package stan

import (
	"errors"

	"github.com/nats-io/stan.go"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// supervisor decides what is done about what happens to a connection. It is a
// single-threaded state machine: what happened goes in, and what to do comes out as
// effects. The supervisor starts nothing, waits for nothing and has no lock; conn is the
// shell around it. subscriptionstate.go is its part about subscriptions, publishing.go its
// part about publishes.
//
// A session is what the streaming server knows the client by. When the server has given
// the session up, a new one must take its place. Below the session the NATS connection may
// be cut and come back. An epoch is a time during which neither happened. What was sent or
// asked for in an earlier epoch may have been lost, and answers to it are ignored, with one
// exception: that a publish is stored.
type supervisor struct {
	phase         phase
	epoch         uint64      // the first is 1
	sessionNo     uint64      // number of the session; each attempt to begin one has its own, the first is 1
	earlyLoss     error       // why the session that is being dialed was lost before the dial result; nil: it was not
	session       stanSession // nil without one; only the shell uses it
	dialAttempt   int         // attempts in a row that failed
	degraded      string      // why the connection can't come back, as the owner was told; empty: no reason
	outbox        *outbox.Outbox
	forbidden     map[string]struct{} // subjects that may not be published to, as the owner was told
	subscriptions map[*subscriptionState]struct{}
	unwanted      []stan.Subscription // removed while the link was down: the server still has them
	effects       []effect
}

type phase int

const (
	phaseUp       phase = iota // everything works
	phaseCut                   // the NATS connection is gone, and nats.go is restoring it
	phaseChecking              // the NATS connection is back; the server is asked whether it knows the session
	phaseDialing               // the session is lost; an attempt to begin another is under way
	phasePausing               // until the next attempt
	phaseOver                  // closed
)

func (p phase) String() string {
	return [...]string{"up", "cut", "checking", "dialing", "pausing", "over"}[p]
}

// newSupervisor returns a supervisor that waits for its first session.
func newSupervisor() supervisor {
	return supervisor{
		phase: phaseDialing, sessionNo: 1, subscriptions: make(map[*subscriptionState]struct{}),
		forbidden: make(map[string]struct{}),
		outbox:    outbox.New(outbox.Policy{MaxRetries: maxRefusals, Permissions: true}),
	}
}

// begin takes the first session.
func (s *supervisor) begin(session stanSession) {
	s.phase, s.epoch, s.session = phaseUp, 1, session
	s.outbox.Connected(false)
	if s.earlyLoss != nil {
		s.onSessionLost(s.sessionNo, s.earlyLoss)
	}
}

// onDisconnect says that the NATS connection below that session is gone.
func (s *supervisor) onDisconnect(sessionNo uint64, err error) {
	s.noteEarlyLoss(sessionNo, err)
	if sessionNo != s.sessionNo || s.phase != phaseUp && s.phase != phaseChecking {
		return
	}
	if s.phase == phaseUp {
		s.reportInterruption(err)
	}
	s.phase = phaseCut
	s.epoch++
	s.outbox.Disconnected()
}

// reportInterruption tells the owner and the subscriptions that the connection is broken.
func (s *supervisor) reportInterruption(err error) {
	s.emit(effect{do: notifyOwner, event: transport.Event{Kind: transport.Disconnected, Err: err}})
	for sub := range s.subscriptions {
		s.emit(effect{do: voidDeliveries, sub: sub})
	}
}

// onReconnect says that the NATS connection below that session is back.
func (s *supervisor) onReconnect(sessionNo uint64) {
	if sessionNo != s.sessionNo || s.phase != phaseCut {
		return
	}
	s.phase = phaseChecking
	s.emit(effect{do: checkSession, session: s.session})
}

// onChecked takes in the server's answer to whether it knows the session, asked in that
// epoch: nil, errUnknown, or an error if no answer came.
func (s *supervisor) onChecked(epoch uint64, err error) {
	if epoch != s.epoch || s.phase != phaseChecking {
		return
	}
	switch {
	case err == nil, errors.Is(err, transport.ErrUnsupported), errors.Is(err, transport.ErrForbidden): // or the server can't be asked
		s.startEpoch(transport.Event{Kind: transport.Reconnected})
	case errors.Is(err, errUnknown):
		s.onSessionLost(s.sessionNo, err)
	default: // no answer: the server is asked again
		s.emit(effect{do: checkSession, session: s.session, after: natsconn.Again.First})
	}
}

// onSessionLost says that the server has given that session up. The old session is dropped
// without a close request, which would end the client that has the client ID by now.
func (s *supervisor) onSessionLost(sessionNo uint64, err error) {
	s.noteEarlyLoss(sessionNo, err)
	if sessionNo != s.sessionNo || s.phase >= phaseDialing {
		return
	}
	if s.phase == phaseUp {
		s.reportInterruption(err)
	}
	s.epoch++
	s.outbox.Disconnected()
	s.dialAttempt = 0
	s.forgetInnerSubscriptions()
	s.emit(effect{do: dropSession, session: s.session})
	s.session = nil
	s.dial()
}

// noteEarlyLoss records a loss that was reported before the dial result. That session is
// discarded when the dial succeeds: its loss would not be reported a second time.
func (s *supervisor) noteEarlyLoss(sessionNo uint64, err error) {
	if sessionNo == s.sessionNo && s.phase == phaseDialing {
		s.earlyLoss = err
	}
}

// dial begins an attempt, with a number of its own: a late report about an earlier attempt
// is not taken for one about this attempt.
func (s *supervisor) dial() {
	s.phase = phaseDialing
	s.sessionNo++
	s.earlyLoss = nil
	s.emit(effect{do: dialSession})
}

// onDialed takes in the result of an attempt to begin a session.
func (s *supervisor) onDialed(session stanSession, err error) {
	if s.phase != phaseDialing {
		if session != nil { // the connection was closed meanwhile
			s.emit(effect{do: dropSession, session: session})
		}
		return
	}
	if err == nil && s.earlyLoss != nil {
		s.emit(effect{do: dropSession, session: session})
		err = s.earlyLoss
	}
	if err != nil {
		s.dialAttempt++
		s.phase = phasePausing
		s.setDegraded(degradedReason(err), err)
		s.emit(effect{do: pauseDialing, after: natsconn.Again.Delay(s.dialAttempt)})
		return
	}
	s.session = session
	s.epoch++
	s.startEpoch(transport.Event{Kind: transport.SessionReplaced})
}

// onDialPauseOver says that it is time for the next attempt.
func (s *supervisor) onDialPauseOver() {
	if s.phase == phasePausing {
		s.dial()
	}
}

// setDegraded tells the owner why the connection can't come back, each reason once, and
// when that reason is over. An empty reason means that nothing is wrong.
func (s *supervisor) setDegraded(reason string, err error) {
	if reason == s.degraded {
		return
	}
	if s.degraded != "" {
		s.emit(effect{do: notifyOwner, event: transport.Event{Kind: transport.Recovered, Reason: s.degraded}})
	}
	s.degraded = reason
	if reason != "" {
		s.emit(effect{do: notifyOwner, event: transport.Event{Kind: transport.Degraded, Reason: reason, Err: err}})
	}
}

// degradedReason names why an attempt failed. It is empty if there is just no server: the
// owner knows already that the connection is gone.
func degradedReason(err error) string {
	for _, known := range []error{transport.ErrClientIDTaken, transport.ErrUnauthorized, transport.ErrForbidden, transport.ErrNoCluster, transport.ErrRefused} {
		if errors.Is(err, known) {
			return "can't come back: " + known.Error()
		}
	}
	return ""
}

// startEpoch goes on with everything, now that there is a session that works.
func (s *supervisor) startEpoch(event transport.Event) {
	s.phase = phaseUp
	s.dialAttempt = 0
	s.setDegraded("", nil)
	s.emit(effect{do: notifyOwner, event: event})
	s.restoreSubscriptions()
	// The answers of a session that the server has given up are lost with it.
	s.startPublishing(s.outbox.Connected(event.Kind == transport.Reconnected))
}

// end closes the supervisor: whatever happens later has no effect, except that a session
// that comes late is dropped.
func (s *supervisor) end() {
	s.phase = phaseOver
	s.epoch++
	s.outbox.Disconnected()
}
