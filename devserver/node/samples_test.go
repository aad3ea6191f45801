//go:build node

package node_test

import (
	"math"
	"slices"
	"time"

	"github.com/sgtickets/common/events"
)

// The events of samples.js as a Go service has them, in the same order. Written
// twice on purpose: what one language makes of an event is compared with what the
// other says that it is.

const nasty = "\u2028\u2029\"\\/<b>&amp;</b>'\x00\b\f\n\r\t\x1f\x7f\ufeff é e\u0301 漢 😀 \U0010ffff"

const maxSafeInteger = 1<<53 - 1

// shared is sent in both directions.
var shared = []events.Event{
	events.TicketCreated{ID: "t1", Title: "concert", Price: 20, UserID: "u1"},
	events.TicketCreated{ID: nasty, Version: maxSafeInteger, Title: nasty, Price: 1e21, UserID: nasty},
	events.TicketCreated{ID: "t3", Version: 1, Price: 1e-7, UserID: "u3"},
	events.TicketCreated{ID: "t4", Version: 2, Title: `1e21, -0 ,"price":-0,`, Price: 1e20, UserID: "u4"},
	events.TicketCreated{ID: "t5", Version: 3, Title: "😀", Price: 0.000001, UserID: "u5"},
	events.TicketCreated{ID: "t6", Version: 4, Title: "sum", Price: 0.30000000000000004, UserID: "u6"},
	events.TicketCreated{ID: "t7", Version: 5, Title: "most", Price: math.MaxFloat64, UserID: "u7"},
	events.TicketCreated{ID: "t8", Version: 6, Title: "least", Price: math.SmallestNonzeroFloat64, UserID: "u8"},

	events.TicketUpdated{ID: "t1", Version: 1, Title: "concert", Price: 4.35, UserID: "u1", OrderID: "o1"},
	events.TicketUpdated{ID: "t1", Version: 2, Title: "concert", UserID: "u1"},
	events.TicketUpdated{ID: "t2", Version: 3, Title: nasty, Price: 123456789.01, UserID: "u2", OrderID: nasty},

	events.OrderCreated{
		ID: "o1", Status: events.OrderStatusCreated, UserID: "u2",
		ExpiresAt: time.Date(2026, time.November, 21, 3, 4, 5, 678000000, time.UTC),
		Ticket:    events.OrderedTicket{ID: "t1", Price: 20},
	},
	events.OrderCreated{
		ID: nasty, Version: maxSafeInteger - 1, Status: events.OrderStatusAwaitingPayment, UserID: nasty,
		ExpiresAt: time.Date(2024, time.February, 29, 0, 0, 0, 0, time.UTC),
		Ticket:    events.OrderedTicket{ID: nasty, Price: 1e-7},
	},
	events.OrderCreated{
		ID: "o3", Version: 1, Status: events.OrderStatusCancelled, UserID: "u3",
		ExpiresAt: time.Unix(0, 0).UTC(),
		Ticket:    events.OrderedTicket{ID: "t3", Price: 1e21},
	},
	events.OrderCreated{
		ID: "o4", Version: 2, Status: events.OrderStatusComplete, UserID: "u4",
		ExpiresAt: time.Date(9999, time.December, 31, 23, 59, 59, 999000000, time.UTC),
		Ticket:    events.OrderedTicket{ID: "t4"},
	},

	events.OrderCancelled{ID: "o1", Version: 1, Ticket: events.CancelledTicket{ID: "t1"}},
	events.OrderCancelled{ID: nasty, Version: maxSafeInteger, Ticket: events.CancelledTicket{ID: nasty}},

	events.ExpirationComplete{OrderID: "o1"},
	events.ExpirationComplete{OrderID: nasty},

	events.PaymentCreated{ID: "p1", OrderID: "o1", StripeID: "ch_1"},
	events.PaymentCreated{ID: nasty, OrderID: nasty, StripeID: nasty},
}

// fromGo is all that Go publishes.
var fromGo = append(slices.Clip(shared),
	events.TicketCreated{ID: "t9", Title: "minus nothing", Price: math.Copysign(0, -1), UserID: "u9"},
	events.OrderCreated{
		ID: "o5", Status: events.OrderStatusCreated, UserID: "u5",
		ExpiresAt: time.Date(2026, time.November, 21, 3, 34, 5, 999999999, time.FixedZone("", 5.5*60*60)),
		Ticket:    events.OrderedTicket{ID: "t5"},
	},
)

// fromNode is what is read of all that Node publishes.
var fromNode = append(slices.Clip(shared),
	events.TicketCreated{ID: "t9", Title: "minus nothing", UserID: "u9"},
	events.TicketCreated{ID: "t10", Title: "nobody sells it", Price: 1},
	events.TicketCreated{ID: "t11", Title: "half \ufffd a pair", Price: 1, UserID: "\ufffd"},
	events.TicketCreated{ID: "t12", Title: "before there were versions", Price: 1, UserID: "u12"},
	events.TicketCreated{ID: "t13", Title: "more than is known, in another order", Price: 1, UserID: "u13"},
	events.TicketCreated{ID: "t14", Title: "not a number", UserID: "u14"}, // JSON.stringify makes it null
	events.TicketUpdated{ID: "t3", Version: 1, Title: "free again", Price: 1, UserID: "u3"},
	events.TicketUpdated{ID: "t3", Version: 2, Title: "free again", Price: 1, UserID: "u3"},
	events.OrderCreated{
		ID: "o5", Status: "refunded",
		ExpiresAt: time.Date(2026, time.November, 21, 0, 0, 0, 0, time.UTC),
		Ticket:    events.OrderedTicket{ID: "t5", Price: 1},
	},
)

// of returns those of type T.
func of[T events.Event](all []events.Event) []T {
	var some []T
	for _, e := range all {
		if e, ok := e.(T); ok {
			some = append(some, e)
		}
	}
	return some
}
