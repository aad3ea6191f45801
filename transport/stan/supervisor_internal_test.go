package stan

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// up is a supervisor with a session, and what it has decided is taken.
func up() *supervisor {
	m := newSupervisor()
	m.begin(&simSession{})
	m.takeEffects()
	return &m
}

// does returns what the supervisor has decided.
func (s *supervisor) does() []action {
	actions := []action{}
	for _, e := range s.takeEffects() {
		actions = append(actions, e.do)
	}
	return actions
}

// joining is a subscription that the supervisor is opening; open is one that is open.
func joining(m *supervisor) *subscriptionState {
	s := &subscriptionState{}
	m.subscribe(s)
	m.takeEffects()
	return s
}

func open(m *supervisor, inner stan.Subscription) *subscriptionState {
	s := joining(m)
	m.onOpened(s, m.epoch, m.sessionNo, inner, nil)
	m.takeEffects()
	return s
}

// TestTheSupervisorDecides: an example of each rule.
func TestTheSupervisorDecides(t *testing.T) {
	t.Parallel()
	inner, timedOut := &simInner{}, stan.ErrSubReqTimeout
	for name, c := range map[string]struct {
		happens func(*supervisor)
		does    []action
		phase   phase
	}{
		"a link that is cut is waited for": {
			func(m *supervisor) {
				m.onDisconnect(1, nil)
			},
			[]action{notifyOwner},
			phaseCut,
		},
		"and of another session is none of it": {func(sup *supervisor) { sup.onDisconnect(2, nil) }, []action{}, phaseUp},
		"a link that is back is not trusted": {
			func(m *supervisor) {
				m.onDisconnect(1, nil)
				m.onReconnect(1)
			},
			[]action{notifyOwner, checkSession},
			phaseChecking,
		},
		"nor one that is cut while it is asked": {
			func(m *supervisor) {
				m.onDisconnect(1, nil)
				m.onReconnect(1)
				m.onDisconnect(1, nil)
				m.onChecked(2, nil)
			},
			[]action{notifyOwner, checkSession},
			phaseCut,
		},
		"silence is asked again": {
			func(m *supervisor) {
				m.onDisconnect(1, nil)
				m.onReconnect(1)
				m.onChecked(2, nats.ErrTimeout)
			},
			[]action{notifyOwner, checkSession, checkSession},
			phaseChecking,
		},
		"a session that is unknown is replaced": {
			func(m *supervisor) {
				m.onDisconnect(1, nil)
				m.onReconnect(1)
				m.onChecked(2, errUnknown)
			},
			[]action{notifyOwner, checkSession, dropSession, dialSession},
			phaseDialing,
		},
		"one that is lost is, too": {
			func(m *supervisor) {
				m.onSessionLost(1, errUnknown)
			},
			[]action{notifyOwner, dropSession, dialSession},
			phaseDialing,
		},
		"an attempt that fails is followed by a pause": {
			func(m *supervisor) {
				m.onSessionLost(1, errUnknown)
				m.takeEffects()
				m.onDialed(nil, transport.ErrNoServer)
			},
			[]action{pauseDialing},
			phasePausing,
		},
		"a session that was over before it was taken is not": {
			func(sup *supervisor) {
				sup.onSessionLost(1, errUnknown)
				sup.takeEffects()
				sup.onSessionLost(2, errUnknown)
				sup.onDialed(&simSession{}, nil)
			},
			[]action{dropSession, pauseDialing},
			phasePausing,
		},
		"what is heard late of an attempt is not taken for the next one's": {
			func(m *supervisor) {
				m.onSessionLost(1, errUnknown)
				m.onDialed(nil, transport.ErrNoServer)
				m.onDialPauseOver()
				m.takeEffects()
				m.onSessionLost(2, errUnknown)
				m.onDialed(&simSession{}, nil)
			},
			[]action{notifyOwner, wakeWriter},
			phaseUp,
		},
		"what comes after the end is dropped": {
			func(m *supervisor) {
				m.onSessionLost(1, errUnknown)
				m.takeEffects()
				m.end()
				m.onDialed(&simSession{}, nil)
			},
			[]action{dropSession},
			phaseOver,
		},
		"a subscription that nobody heard of may be a ghost": {
			func(sup *supervisor) { sup.onOpened(joining(sup), 1, 1, nil, timedOut) },
			[]action{notifyOwner, voidDeliveries, dropSession, dialSession},
			phaseDialing,
		},
		"even if the link was cut meanwhile": {
			func(m *supervisor) {
				s := joining(m)
				m.onDisconnect(1, nil)
				m.takeEffects()
				m.onOpened(s, 1, 1, nil, timedOut)
			},
			[]action{dropSession, dialSession},
			phaseDialing,
		},
		"one of a session that is over is not": {
			func(sup *supervisor) {
				s := joining(sup)
				sup.onSessionLost(1, errUnknown)
				sup.takeEffects()
				sup.onOpened(s, 1, 1, nil, timedOut)
			},
			[]action{},
			phaseDialing,
		},
		"a server that does not know the client ends the session": {
			func(sup *supervisor) { sup.onOpened(joining(sup), 1, 1, nil, errors.New(errUnknownClientID)) },
			[]action{notifyOwner, voidDeliveries, dropSession, dialSession},
			phaseDialing,
		},
		"a refusal is for the caller that asked": {
			func(m *supervisor) {
				m.onOpened(joining(m), 1, 1, nil, errors.New("no"))
			},
			[]action{answerSubscribe},
			phaseUp,
		},
		"a subscription is opened anew after a cut": {
			func(sup *supervisor) {
				open(sup, inner)
				sup.onDisconnect(1, nil)
				sup.onReconnect(1)
				sup.takeEffects()
				sup.onChecked(2, nil)
			},
			[]action{notifyOwner, openSubscription, wakeWriter},
			phaseUp,
		},
		"what could not be closed is closed before it is opened anew": {
			func(sup *supervisor) {
				s := open(sup, inner)
				sup.onOpened(s, 1, 1, inner, stan.ErrCloseReqTimeout)
				sup.onOpenPauseOver(s)
			},
			[]action{notifyOwner, pauseOpening, openSubscription},
			phaseUp,
		},
		"what nobody wants is closed until the server has heard it": {
			func(m *supervisor) { m.onInnerClosed(inner, 1, stan.ErrCloseReqTimeout) }, []action{closeInner}, phaseUp,
		},
		"and not in a session after that": {
			func(m *supervisor) {
				m.onInnerClosed(inner, 0, stan.ErrCloseReqTimeout)
			},
			[]action{},
			phaseUp,
		},
		"what the server does not know shows that its store was put back": {
			func(m *supervisor) {
				s := open(m, inner)
				m.reopen(s)
				m.takeEffects()
				m.onOpened(s, 1, 1, inner, errors.New(errUnknownSubscription))
			},
			[]action{notifyOwner, voidDeliveries, dropSession, dialSession},
			phaseDialing,
		},
		"so does what nobody wants": {
			func(m *supervisor) { m.onInnerClosed(inner, 1, errors.New(errUnknownSubscription)) },
			[]action{notifyOwner, dropSession, dialSession},
			phaseDialing,
		},
		"but not of an earlier session": {
			func(m *supervisor) { m.onInnerClosed(inner, 0, errors.New(errUnknownSubscription)) }, []action{}, phaseUp,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := up()
			c.happens(m)
			require.Equal(t, c.phase, m.phase)
			require.Equal(t, c.does, m.does())
		})
	}
}

// TestARefusalSaysNothingOfTheAttemptBefore: the first may have been stored.
func TestARefusalSaysNothingOfTheAttemptBefore(t *testing.T) {
	t.Parallel()
	m, settled := up(), []error{}
	ticket, err := m.publish(transport.Message{Subject: "c"}, transport.ReceiptFunc(func(err error) { settled = append(settled, err) }))
	require.NoError(t, err)
	send := func() {
		l := m.next()
		require.NotNil(t, l)
		outcome, _ := m.onWritten(l, m.epoch, nil)
		require.False(t, outcome.Decided())
	}
	send()
	m.onSessionLost(1, errUnknown)
	m.onDialed(&simSession{}, nil)
	m.onRefusalsChecked(m.epoch, nil)
	send()
	outcome := m.onAnswered(ticket, 2, errors.New("too many channels"))
	require.True(t, outcome.Decided())
	require.ErrorIs(t, outcome.Err(), transport.ErrOutcomeUnknown)
	require.NotErrorIs(t, outcome.Err(), transport.ErrNotStored)
	require.Empty(t, settled, "the shell settles")
}

// TestARefusalMayMeanThatTheClientWasGivenUp: the server says so to no other question
// for a while. The publish goes out in a new session; it is not stored if that goes on.
func TestARefusalMayMeanThatTheClientWasGivenUp(t *testing.T) {
	t.Parallel()
	m := up()
	ticket, err := m.publish(transport.Message{Subject: "c"}, transport.ReceiptFunc(func(error) {}))
	require.NoError(t, err)
	refuse := func() outbox.Outcome {
		l := m.next()
		require.NotNil(t, l)
		outcome, _ := m.onWritten(l, m.epoch, nil)
		require.False(t, outcome.Decided())
		return m.onAnswered(ticket, l.Attempt(), errSimInvalid)
	}
	for range maxRefusals {
		require.False(t, refuse().Decided(), "nobody is told")
		require.Equal(t, phaseDialing, m.phase)
		m.onDialed(&simSession{}, nil)
	}
	require.ErrorIs(t, refuse().Err(), transport.ErrNotStored)
	require.Equal(t, phaseUp, m.phase)
}
