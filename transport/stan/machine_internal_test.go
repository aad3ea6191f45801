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

// up is a machine with a session, and what it has decided is taken.
func up() *machine {
	m := newMachine()
	m.begin(&simSession{})
	m.take()
	return &m
}

// does returns what the machine has decided.
func (m *machine) does() []action {
	actions := []action{}
	for _, e := range m.take() {
		actions = append(actions, e.do)
	}
	return actions
}

// joining is a member that the machine is opening; open is one that is.
func joining(m *machine) *member {
	s := &member{}
	m.subscribe(s)
	m.take()
	return s
}

func open(m *machine, inner stan.Subscription) *member {
	s := joining(m)
	m.joined(s, m.epoch, m.session, inner, nil)
	m.take()
	return s
}

// TestTheMachineDecides: an example of each rule.
func TestTheMachineDecides(t *testing.T) {
	t.Parallel()
	inner, timedOut := &simInner{}, stan.ErrSubReqTimeout
	for name, c := range map[string]struct {
		happens func(*machine)
		does    []action
		phase   phase
	}{
		"a link that is cut is waited for": {
			func(m *machine) {
				m.cut(1, nil)
			},
			[]action{tellOwner},
			phaseCut,
		},
		"and of another session is none of it": {func(m *machine) { m.cut(2, nil) }, []action{}, phaseUp},
		"a link that is back is not trusted": {
			func(m *machine) {
				m.cut(1, nil)
				m.back(1)
			},
			[]action{tellOwner, checkWire},
			phaseChecking,
		},
		"nor one that is cut while it is asked": {
			func(m *machine) {
				m.cut(1, nil)
				m.back(1)
				m.cut(1, nil)
				m.checked(2, nil)
			},
			[]action{tellOwner, checkWire},
			phaseCut,
		},
		"silence is asked again": {
			func(m *machine) {
				m.cut(1, nil)
				m.back(1)
				m.checked(2, nats.ErrTimeout)
			},
			[]action{tellOwner, checkWire, checkWire},
			phaseChecking,
		},
		"a session that is unknown is replaced": {
			func(m *machine) {
				m.cut(1, nil)
				m.back(1)
				m.checked(2, errUnknown)
			},
			[]action{tellOwner, checkWire, dropWire, dialWire},
			phaseDialing,
		},
		"one that is lost is, too": {
			func(m *machine) {
				m.lost(1, errUnknown)
			},
			[]action{tellOwner, dropWire, dialWire},
			phaseDialing,
		},
		"an attempt that fails is followed by a pause": {
			func(m *machine) {
				m.lost(1, errUnknown)
				m.take()
				m.dialed(nil, transport.ErrNoServer)
			},
			[]action{pauseDial},
			phasePausing,
		},
		"a session that was over before it was taken is not": {
			func(m *machine) { m.lost(1, errUnknown); m.take(); m.lost(2, errUnknown); m.dialed(&simSession{}, nil) },
			[]action{dropWire, pauseDial},
			phasePausing,
		},
		"what is heard late of an attempt is not taken for the next one's": {
			func(m *machine) {
				m.lost(1, errUnknown)
				m.dialed(nil, transport.ErrNoServer)
				m.pauseOver()
				m.take()
				m.lost(2, errUnknown)
				m.dialed(&simSession{}, nil)
			},
			[]action{tellOwner, wakeWriter},
			phaseUp,
		},
		"what comes after the end is dropped": {
			func(m *machine) {
				m.lost(1, errUnknown)
				m.take()
				m.end()
				m.dialed(&simSession{}, nil)
			},
			[]action{dropWire},
			phaseOver,
		},
		"a member that nobody heard of may be a ghost": {
			func(m *machine) { m.joined(joining(m), 1, 1, nil, timedOut) },
			[]action{tellOwner, voidMember, dropWire, dialWire},
			phaseDialing,
		},
		"even if the link was cut meanwhile": {
			func(m *machine) {
				s := joining(m)
				m.cut(1, nil)
				m.take()
				m.joined(s, 1, 1, nil, timedOut)
			},
			[]action{dropWire, dialWire},
			phaseDialing,
		},
		"one of a session that is over is not": {
			func(m *machine) { s := joining(m); m.lost(1, errUnknown); m.take(); m.joined(s, 1, 1, nil, timedOut) },
			[]action{},
			phaseDialing,
		},
		"a server that does not know the client ends the session": {
			func(m *machine) { m.joined(joining(m), 1, 1, nil, errors.New(errUnknownClientID)) },
			[]action{tellOwner, voidMember, dropWire, dialWire},
			phaseDialing,
		},
		"a refusal is for whoever asked": {
			func(m *machine) {
				m.joined(joining(m), 1, 1, nil, errors.New("no"))
			},
			[]action{tellMember},
			phaseUp,
		},
		"a member is opened anew after a cut": {
			func(m *machine) { open(m, inner); m.cut(1, nil); m.back(1); m.take(); m.checked(2, nil) },
			[]action{tellOwner, joinMember, wakeWriter},
			phaseUp,
		},
		"what could not be closed is closed before it is opened anew": {
			func(m *machine) { s := open(m, inner); m.joined(s, 1, 1, inner, stan.ErrCloseReqTimeout); m.retry(s) },
			[]action{tellOwner, pauseJoin, joinMember},
			phaseUp,
		},
		"what nobody wants is closed until the server has heard it": {
			func(m *machine) { m.left(inner, 1, stan.ErrCloseReqTimeout) }, []action{leaveInner}, phaseUp,
		},
		"and not in a session after that": {
			func(m *machine) {
				m.left(inner, 0, stan.ErrCloseReqTimeout)
			},
			[]action{},
			phaseUp,
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
	m.lost(1, errUnknown)
	m.dialed(&simSession{}, nil)
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
		m.dialed(&simSession{}, nil)
	}
	require.ErrorIs(t, refuse().Err(), transport.ErrNotStored)
	require.Equal(t, phaseUp, m.phase)
}
