package client

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func takeAll(q *eventQueue) (all []Event) {
	for {
		e, ok := q.take()
		if !ok {
			return all
		}
		all = append(all, e)
	}
}

func deadLettered(sequence uint64, reason string) Event {
	return Event{Kind: EventDeadLettered, Listener: "l", Subject: "s", Sequence: sequence, Reason: reason, Count: 1}
}

// TestEventQueue: each event by itself while there is room, and all are counted then.
func TestEventQueue(t *testing.T) {
	t.Parallel()
	var q eventQueue
	q.add(Event{Kind: EventStoreLost})
	for n := range uint64(1000) {
		q.add(deadLettered(n, "exhausted"))
	}
	q.add(Event{Kind: EventReconnected})
	all := takeAll(&q)
	require.Len(t, all, countedBuffer+2)
	require.Equal(t, EventStoreLost, all[0].Kind)
	require.Equal(t, EventReconnected, all[countedBuffer+1].Kind)
	for n, e := range all[1:countedBuffer] {
		require.EqualValues(t, n, e.Sequence)
		require.Equal(t, 1, e.Count)
		require.Zero(t, e.Missed)
	}
	last := all[countedBuffer]
	require.Equal(t, 1000-countedBuffer+1, last.Count)
	require.EqualValues(t, 999, last.Sequence, "it is the last one's")
	require.Zero(t, q.counted)

	q.add(deadLettered(1, "exhausted"))
	require.Equal(t, []Event{deadLettered(1, "exhausted")}, takeAll(&q), "there is room again")
}

// TestEventQueueOfUnlikeEvents: what is like no other makes the oldest of its kinds go, and
// nothing else.
func TestEventQueueOfUnlikeEvents(t *testing.T) {
	t.Parallel()
	var q eventQueue
	for n := range 10 {
		q.add(Event{Kind: EventDegraded, Sequence: uint64(n)})
	}
	for n := range uint64(40) {
		e := deadLettered(n, string(rune('a'+n)))
		e.Count = 2
		q.add(e)
	}
	e, _ := q.take()
	require.Equal(t, EventDegraded, e.Kind)
	require.Equal(t, 16, e.Missed)
	all := takeAll(&q)
	require.Len(t, all, 9+countedBuffer)
	require.EqualValues(t, 8, all[9].Sequence)
	for _, e := range all {
		require.Zero(t, e.Missed)
	}

	for range watchBuffer + 5 {
		q.add(Event{Kind: EventDegraded})
	}
	e, _ = q.take()
	require.Equal(t, 5, e.Missed)
}

// TestEventQueueCountsAll: whatever comes first, and whatever else floods the watcher.
func TestEventQueueCountsAll(t *testing.T) {
	t.Parallel()
	var q eventQueue
	want := make(map[string]int)
	add := func(n int, reason string) {
		for range n {
			q.add(deadLettered(uint64(n), reason))
		}
		want[reason] += n
	}
	add(50, "undecodable")
	for range watchBuffer {
		q.add(Event{Kind: EventAsyncError})
	}
	add(1, "rejected")
	add(100, "exhausted")
	add(1, "rejected")
	add(1, "crashed")
	for range watchBuffer {
		q.add(Event{Kind: EventAsyncError})
	}
	require.Len(t, q.waiting, watchBuffer)
	require.Equal(t, countedBuffer, q.counted)
	got, missed := make(map[string]int), 0
	for _, e := range takeAll(&q) {
		if e.Count > 0 {
			got[e.Reason] += e.Count
		}
		missed += e.Missed
	}
	require.Equal(t, want, got)
	require.Equal(t, 2*watchBuffer-(watchBuffer-countedBuffer), missed, "all of them are of those without a Count")
}
