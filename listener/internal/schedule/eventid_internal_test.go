package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

// withEventID returns the task of an event that has an ID of its own.
func withEventID(sequence uint64, id string) *Task {
	task := arrived(sequence, 0)
	task.id = eventIDOf(&transport.Delivery{Header: transport.Header{"ce-id": {id}, "ce-source": {"/ticketing/tickets"}}})
	return task
}

// TestKnowsEventsByID: an event that is stored twice is handled once, also while its first
// copy runs; unless that fails, or became a dead letter, which may be put back.
func TestKnowsEventsByID(t *testing.T) {
	t.Parallel()
	s := New(streaming(4), ackWait)
	arrive(s, withEventID(1, "a"), withEventID(2, "a"), withEventID(3, "b"))
	require.Equal(t, []uint64{1, 3}, runs(s, 0))
	handle(s, busy(s, 1), 0)
	require.Empty(t, runs(s, 0))
	require.Equal(t, []string{"ack 2"}, decided(s))

	arrive(s, withEventID(4, "b"))
	fail(s, busy(s, 3), rejected(errToday), 0)
	s.DeadLetterStored(s.effects[0].Task, at(0))
	decided(s)
	handle(s, runs1(t, s, 4, 0), 0)
	arrive(s, withEventID(5, "b"))
	require.Empty(t, runs(s, 0))
	require.Equal(t, []string{"ack 5"}, decided(s))
	requireEmpty(t, s)
	require.NotEqual(t, withEventID(1, "a").id, withEventID(1, "b").id)
	require.Equal(t, EventID{}, eventIDOf(&transport.Delivery{Header: transport.Header{"Nats-Msg-Id": {"a"}}}))
}
