package stan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/transport"
)

func at(n int) time.Time { return time.Unix(int64(n), 0) }

// TestPlace: what the sequences of deliveries tell.
func TestPlace(t *testing.T) {
	t.Parallel()
	type event struct {
		sequence    uint64
		stored      int
		redelivered bool
	}
	for name, c := range map[string]struct {
		grouped bool
		events  []event
		lost    loss // by the last of them
		emptied bool
	}{
		"no gap":              {events: []event{{1, 1, false}, {2, 2, false}}},
		"a gap":               {events: []event{{1, 1, false}, {5, 5, false}}, lost: loss{2, 4, 3}},
		"a gap that was told": {events: []event{{1, 1, false}, {5, 5, false}, {6, 6, false}}},
		"a first start: what was removed before was promised to nobody": {events: []event{{31, 31, false}}},
		"events that are open come first to a durable of an earlier process; others were acknowledged": {
			events: []event{{3, 3, true}, {6, 6, true}, {31, 31, false}},
		},
		"events that were sent into a link that is gone come again; one of them was removed": {
			events: []event{{1, 1, false}, {4, 4, true}}, lost: loss{2, 3, 2},
		},
		"an event comes again, out of order":                 {events: []event{{1, 1, false}, {2, 2, false}, {1, 1, true}}},
		"a member of a group":                                {grouped: true, events: []event{{1, 1, false}, {5, 5, false}}},
		"an empty store":                                     {events: []event{{9, 9, false}, {1, 10, false}}, emptied: true},
		"an older store":                                     {events: []event{{9, 9, false}, {6, 10, false}}, emptied: true},
		"an older store, in a group":                         {grouped: true, events: []event{{9, 9, false}, {6, 10, false}}, emptied: true},
		"an older store; an event from before the backup":    {events: []event{{9, 9, false}, {5, 5, true}}},
		"an older store that was told; a gap in it":          {events: []event{{9, 9, false}, {6, 10, false}, {8, 11, false}}, lost: loss{7, 7, 1}},
		"an older store that was told; it goes on as it was": {events: []event{{9, 9, false}, {6, 10, false}, {7, 11, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &place{grouped: c.grouped}
			var lost loss
			var emptied bool
			for _, e := range c.events {
				lost, emptied = p.take(e.sequence, at(e.stored), e.redelivered)
			}
			require.Equal(t, c.lost, lost)
			require.Equal(t, c.emptied, emptied)
		})
	}
}

// TestPlaceOfEventsThatAreToComeAgain: those are lost, too, where the server has removed them.
func TestPlaceOfEventsThatAreToComeAgain(t *testing.T) {
	t.Parallel()
	p := &place{}
	for n := range 5 {
		p.take(uint64(n+1), at(n+1), false)
	}
	require.Zero(t, p.release(1))
	require.Zero(t, p.release(2))
	require.Zero(t, p.release(3))
	p.settled(2) // late
	p.take(3, at(3), true)
	lost, _ := p.take(10, at(10), false)
	require.Equal(t, loss{1, 9, 5}, lost, "1, and 6 to 9")
	require.Equal(t, loss{4, 4, 1}, p.release(4), "its handler fails after that")
	require.Zero(t, p.beginsAt(10))

	p = &place{}
	p.take(1, at(1), false)
	p.take(2, at(2), false)
	p.release(1)
	require.Equal(t, loss{1, 1, 1}, p.beginsAt(2))
	require.Zero(t, p.beginsAt(2), "it is told once")
	require.Equal(t, loss{1, 5, 3}, loss{1, 1, 1}.and(loss{4, 5, 2}))

	grouped := &place{grouped: true}
	grouped.take(1, at(1), false)
	require.Zero(t, grouped.release(1), "another member may have it")
}

// TestThePlaceOfADurable outlives its subscription, and ends with the durable.
func TestThePlaceOfADurable(t *testing.T) {
	t.Parallel()
	c := newConn(transport.Config{}, nil)
	durable := transport.SubscribeConfig{Subject: "a", Durable: "d"}
	p := c.placeOf(durable)
	require.Same(t, p, c.placeOf(durable))
	require.NotSame(t, p, c.placeOf(transport.SubscribeConfig{Subject: "b", Durable: "d"}))
	none := transport.SubscribeConfig{Subject: "a"}
	first := c.placeOf(none)
	require.NotSame(t, first, c.placeOf(none))
	grouped := transport.SubscribeConfig{Subject: "a", Durable: "d", Group: "g"}
	first = c.placeOf(grouped)
	require.NotSame(t, first, c.placeOf(grouped))
	c.forgetPlace(grouped)
	require.Same(t, p, c.placeOf(durable))
	c.forgetPlace(durable)
	require.NotSame(t, p, c.placeOf(durable))
}

// TestStartAnew: in another store a subscription without a durable begins where it may.
func TestStartAnew(t *testing.T) {
	t.Parallel()
	joined := at(100)
	for start, want := range map[transport.Position]transport.Position{
		transport.All:                  transport.All,
		transport.Sequence(7):          transport.All,
		transport.NewOnly:              transport.Since(joined),
		transport.LastReceived:         transport.Since(joined),
		transport.Since(at(50)):        transport.Since(at(50)),
		transport.Ago(9 * time.Second): transport.Since(at(91)),
	} {
		s := &subscription{config: transport.SubscribeConfig{Start: start}, joined: joined}
		require.Equal(t, want, s.startAnew())
	}
}
