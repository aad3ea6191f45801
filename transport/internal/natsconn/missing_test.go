package natsconn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/internal/natsconn"
)

// need is what a test needs: to subscribe or to publish.
type need struct{ subscribes bool }

func (n need) Subscribes() bool  { return n.subscribes }
func (need) Grant(string) string { return "_INBOX.>" }
func (need) Effect() string      { return "nothing works" }

func kinds(m *natsconn.Missing[need]) []transport.EventKind {
	var all []transport.EventKind
	for _, e := range m.TakeEvents() {
		all = append(all, e.Kind)
	}
	return all
}

// TestMissing: the owner is told once that a permission is missing, and once that it is there.
func TestMissing(t *testing.T) {
	t.Parallel()
	var m natsconn.Missing[need]
	publish, subscribe := need{}, need{true}
	refuse := func(n need) {
		m.Note(n, natsconn.Violation{Subscribe: n.subscribes, Subject: "_INBOX.x"}, 1)
		m.Show(n)
	}
	refuse(publish)
	events := m.TakeEvents()
	require.Len(t, events, 1)
	require.Equal(t, transport.Degraded, events[0].Kind)
	require.ErrorIs(t, events[0].Err, transport.ErrForbidden)
	require.Equal(t, `nothing works: permission to publish to "_INBOX.>" is missing`, events[0].Reason)
	last, err := m.Lacks(publish)
	require.Equal(t, events[0].Err, err)
	require.Equal(t, "_INBOX.x", last.Subject)
	refuse(publish)
	refuse(subscribe)
	require.Equal(t, []transport.EventKind{transport.Degraded}, kinds(&m))

	tries := m.Tries()
	refuse(publish)
	granted, reconnect := m.Tried(tries, 1)
	require.Equal(t, []need{subscribe}, granted)
	require.True(t, reconnect, "the server has ended the subscription")
	require.Equal(t, []transport.EventKind{transport.Recovered}, kinds(&m))
	granted, reconnect = m.Tried(m.Tries(), 1)
	require.Equal(t, []need{publish}, granted)
	require.False(t, reconnect)
	require.Equal(t, []transport.EventKind{transport.Recovered}, kinds(&m))
	_, err = m.Lacks(publish)
	require.NoError(t, err)

	refuse(subscribe)
	_, reconnect = m.Tried(m.Tries(), 2)
	require.False(t, reconnect, "it was made again since")
	refuse(publish)
	m.TakeEvents()
	m.EndUnwanted(func(need) bool { return false })
	events = m.TakeEvents()
	require.Len(t, events, 1)
	require.Equal(t, transport.ErrClosed, events[0].Err)

	m.Note(subscribe, natsconn.Violation{Subscribe: true}, 1)
	m.Tried(m.Tries(), 1)
	require.Empty(t, m.TakeEvents(), "the owner was not told that it is missing")
}

// TestTeller: who is told may tell something else meanwhile, which comes after.
func TestTeller(t *testing.T) {
	t.Parallel()
	var teller natsconn.Teller
	var told []string
	tell := func(e transport.Event) {
		told = append(told, e.Reason)
		if e.Reason == "a" {
			teller.Add(transport.Event{Reason: "c"})
			teller.Tell(func(transport.Event) { t.Error("it tells already") })
		}
	}
	teller.Tell(tell)
	teller.Add(transport.Event{Reason: "a"}, transport.Event{Reason: "b"})
	teller.Tell(tell)
	require.Equal(t, []string{"a", "b", "c"}, told)
}
