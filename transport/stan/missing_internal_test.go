package stan

import (
	"errors"
	"testing"

	"github.com/nats-io/stan.go"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// told returns what the owner is told since the last time.
func (m *missing) told() []transport.EventKind {
	kinds := make([]transport.EventKind, 0, len(m.tell))
	for _, e := range m.tell {
		kinds = append(kinds, e.Kind)
	}
	m.tell = nil
	return kinds
}

// TestMissing: the owner is told once that a permission is missing, and once that it is there.
func TestMissing(t *testing.T) {
	t.Parallel()
	var m missing
	acks, events := need{needAcks, "c"}, need{needEvents, "c"}
	refuse := func(n need) { m.refuse(n, natsconn.Violation{Subscribe: n.subscribes(), Subject: "_INBOX.x"}, 1) }
	refuse(acks)
	require.ErrorIs(t, m.tell[0].Err, transport.ErrForbidden)
	require.Equal(t, `acknowledgements of c are refused, so that its events come again: permission to publish to "_INBOX.>" is missing`, m.tell[0].Reason)
	require.Equal(t, []transport.EventKind{transport.Degraded}, m.told())
	refuse(acks)
	refuse(events)
	require.Equal(t, []transport.EventKind{transport.Degraded}, m.told())

	tries := m.tries()
	refuse(acks)
	require.True(t, m.tried(tries, 1), "the server has ended the subscription")
	require.Equal(t, []transport.EventKind{transport.Recovered}, m.told())
	require.False(t, m.tried(m.tries(), 1))
	require.Equal(t, []transport.EventKind{transport.Recovered}, m.told())
	require.Empty(t, m.lacks)

	refuse(events)
	require.False(t, m.tried(m.tries(), 2), "it was made again in this epoch")
	refuse(acks)
	m.told()
	m.end(acks, transport.ErrClosed)
	require.Equal(t, transport.ErrClosed, m.tell[0].Err)
	require.Equal(t, []transport.EventKind{transport.Recovered}, m.told())
}

// TestMissingConfirmations: nobody is told who does not publish.
func TestMissingConfirmations(t *testing.T) {
	t.Parallel()
	var m missing
	n := need{kind: needConfirmations}
	m.refuse(n, natsconn.Violation{Subscribe: true, Subject: "_STAN.acks.x"}, 1)
	require.Empty(t, m.told())
	m.show(n)
	m.show(n)
	require.Contains(t, m.tell[0].Reason, `permission to subscribe to "_STAN.acks.>" is missing`)
	require.Equal(t, []transport.EventKind{transport.Degraded}, m.told())
	m.tried(m.tries(), 1)
	require.Equal(t, []transport.EventKind{transport.Recovered}, m.told())
	m.refuse(n, natsconn.Violation{Subscribe: true, Subject: "_STAN.acks.x"}, 1)
	m.tried(m.tries(), 1)
	require.Empty(t, m.told())
}

// TestForbiddenRequests: one error of the server explains one request without an answer, and
// only one that was open when it came.
func TestForbiddenRequests(t *testing.T) {
	t.Parallel()
	var r requests
	v := natsconn.Violation{Subject: "_STAN.sub.x"}
	timeout := func() error { return stan.ErrSubReqTimeout }
	r.onForbidden(v)
	require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.x", timeout))
	refused := func() error {
		r.onForbidden(v)
		return stan.ErrSubReqTimeout
	}
	require.ErrorIs(t, r.do("_STAN.sub.x", refused), transport.ErrForbidden)
	require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.x", timeout))
	require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.y", refused))
	answered := errors.New("stan: unknown clientID")
	require.Equal(t, answered, r.do("_STAN.sub.x", func() error {
		r.onForbidden(v)
		return answered
	}))
	err := r.do("_STAN.sub.x", func() error {
		require.Equal(t, stan.ErrSubReqTimeout, r.do("_STAN.sub.x", timeout))
		require.ErrorIs(t, r.do("_STAN.sub.x", refused), transport.ErrForbidden)
		return stan.ErrSubReqTimeout
	})
	require.Equal(t, stan.ErrSubReqTimeout, err)
	require.Empty(t, r.open)
}
