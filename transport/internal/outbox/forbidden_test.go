package outbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/outbox"
)

// publishes is an outbox whose NATS server may refuse, and the outcomes by ticket.
type publishes struct {
	*outbox.Outbox

	outcomes map[transport.Ticket]error
}

func newPublishes() *publishes {
	p := &publishes{outbox.New(outbox.Policy{Permissions: true}), make(map[transport.Ticket]error)}
	p.Connected(false)
	return p
}

// send publishes on those subjects and writes all of it.
func (p *publishes) send(t *testing.T, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		var ticket transport.Ticket
		ticket, err := p.Add(transport.Message{Subject: subject}, transport.ReceiptFunc(func(err error) { p.outcomes[ticket] = err }))
		require.NoError(t, err)
	}
	for pending, _ := p.Next(time.Time{}); pending != nil; pending, _ = p.Next(time.Time{}) {
		p.Written(pending, false)
	}
}

func (p *publishes) check(conclusive bool) { tell(p.Checked(conclusive)) }

func (p *publishes) stored(t transport.Ticket) {
	p.Stored(t, 1).Tell()
	tell(p.TakeDecided())
}

func tell(outcomes []outbox.Outcome) {
	for _, o := range outcomes {
		o.Tell()
	}
}

func (p *publishes) requireForbidden(t *testing.T, tickets ...transport.Ticket) {
	t.Helper()
	for _, ticket := range tickets {
		require.ErrorIs(t, p.outcomes[ticket], errForbidden)
		require.ErrorIs(t, p.outcomes[ticket], transport.ErrNotStored)
	}
}

// TestForbidden: as many publishes are refused as the server has reported, and no other.
func TestForbidden(t *testing.T) {
	t.Parallel()
	p := newPublishes()
	p.send(t, "a", "b", "a")
	require.True(t, p.Forbidden("a", errForbidden))
	p.Forbidden("a", errForbidden)
	require.Empty(t, p.outcomes, "until the check")
	next, _ := p.Next(time.Time{})
	require.Nil(t, next)
	p.check(true)
	p.requireForbidden(t, 1, 3)
	require.False(t, p.CheckDue())
	p.stored(2)
	require.Len(t, p.outcomes, 3)
	require.NoError(t, p.outcomes[2])
}

// TestForbiddenWhileConfirmationsCome: which publishes were refused is known when the others
// are confirmed.
func TestForbiddenWhileConfirmationsCome(t *testing.T) {
	t.Parallel()
	p := newPublishes()
	p.send(t, "a", "a", "a")
	p.Forbidden("a", errForbidden)
	p.check(true)
	p.send(t, "a") // has nothing to do with it
	p.stored(1)
	require.Len(t, p.outcomes, 1)
	p.stored(3)
	p.requireForbidden(t, 2)
	require.Len(t, p.outcomes, 3)
	p.stored(4)
	require.NoError(t, p.outcomes[4])
}

// TestForbiddenExplainsNothingElse: an error that was once heard decides no later publish, and
// none that may have been stored before.
func TestForbiddenExplainsNothingElse(t *testing.T) {
	t.Parallel()
	p := newPublishes()
	p.send(t, "a", "a")
	p.Abandon(1).Tell()
	require.Equal(t, transport.ErrOutcomeUnknown, p.outcomes[1])
	require.True(t, p.CheckDue(), "so that the server has taken or refused it before anything else is sent")
	p.Forbidden("a", errForbidden)
	p.check(true)
	require.Len(t, p.outcomes, 1, "it may be the first")
	p.send(t, "a")
	p.Abandon(2).Tell()
	p.Abandon(3).Tell()
	require.Equal(t, transport.ErrOutcomeUnknown, p.outcomes[2])
	require.Equal(t, transport.ErrOutcomeUnknown, p.outcomes[3])
	p.check(true)

	p.send(t, "a")
	p.Forbidden("a", errForbidden)
	p.Forbidden("a", errForbidden) // one of them was not about a publish
	p.check(true)
	require.NotContains(t, p.outcomes, transport.Ticket(4))
	p.Forbidden("a", errForbidden)
	p.check(false)
	require.NotContains(t, p.outcomes, transport.Ticket(4))
}

// TestForbiddenAfterReconnect: what was sent over an earlier connection may be stored.
func TestForbiddenAfterReconnect(t *testing.T) {
	t.Parallel()
	p := newPublishes()
	p.send(t, "a")
	p.Forbidden("a", errForbidden)
	p.Disconnected()
	p.Connected(false)
	require.True(t, p.CheckDue(), "the first attempt may have left over this connection")
	p.check(true)
	require.Empty(t, p.outcomes)
	p.send(t, "a")
	p.Forbidden("a", errForbidden)
	p.Forbidden("a", errForbidden)
	p.check(true)
	p.requireForbidden(t, 2)
	require.ErrorIs(t, p.outcomes[1], transport.ErrOutcomeUnknown)
	require.ErrorIs(t, p.outcomes[1], errForbidden)
	require.NotErrorIs(t, p.outcomes[1], transport.ErrNotStored)
}
