package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/examples/ticketing/platform"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
)

func TestLedger(t *testing.T) {
	l, p := newLedger(), platform.New(0)
	created := events.OrderCreated{ID: "o"}
	handled := func(s platform.Service, e events.Event) {
		l.Handled(platform.Member{Service: s}, e, listener.Delivery{})
	}

	handled(p.Tickets, created) // before it is known to be stored
	assert.Equal(t, tally{published: 1}, l.tally())
	l.Published(platform.Member{}, created)
	l.Published(platform.Member{}, created)
	handled(p.Expiration, created)
	handled(p.Expiration, created)
	assert.Equal(t, tally{published: 1, doubles: 1}, l.tally())
	assert.Equal(t, 1, l.tally().lost())
	assert.Equal(t, map[identity][]string{{subjects.OrderCreated, "o", 0}: {"example-payments"}}, l.open())

	handled(p.Payments, created)
	handled(p.Payments, created)
	assert.Equal(t, tally{published: 1, handled: 1, doubles: 2}, l.tally())
	assert.Empty(t, l.open())

	l.Published(platform.Member{}, events.TicketUpdated{ID: "t", Version: 1})
	l.Published(platform.Member{}, events.TicketUpdated{ID: "t", Version: 2})
	assert.Equal(t, 2, l.tally().lost())
}

func TestLedgerKnowsEveryEvent(t *testing.T) {
	for _, e := range events.Catalogue() {
		assert.Equal(t, e.Subject(), identify(e).subject)
		assert.NotEmpty(t, audience[e.Subject()], e.Subject())
	}
}
