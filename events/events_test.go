package events_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
)

func TestCatalogueHoldsEverySubject(t *testing.T) {
	t.Parallel()
	listed := make([]subjects.Subject, 0, len(events.Catalogue()))
	for _, e := range events.Catalogue() {
		listed = append(listed, e.Subject())
		require.Implements(t, (*events.Validator)(nil), e)
	}
	require.Equal(t, subjects.All(), listed)
}

// valid is one valid event of each kind, with what makes it invalid.
func TestValidate(t *testing.T) {
	t.Parallel()
	ticket := events.TicketCreated{ID: "t1", UserID: "u1"}
	updated := events.TicketUpdated{ID: "t1", UserID: "u1", Version: 1<<53 - 1, Price: 20, OrderID: ""}
	order := events.OrderCreated{
		ID: "o1", Status: events.OrderStatusAwaitingPayment, UserID: "u1", ExpiresAt: time.Unix(0, 0),
		Ticket: events.OrderedTicket{ID: "t1", Price: math.MaxFloat64},
	}
	cancelled := events.OrderCancelled{ID: "o1", Ticket: events.CancelledTicket{ID: "t1"}}
	payment := events.PaymentCreated{ID: "p1", OrderID: "o1", StripeID: "ch_1"}
	for _, e := range []events.Validator{ticket, updated, order, cancelled, payment, events.ExpirationComplete{OrderID: "o1"}} {
		require.NoError(t, e.Validate(), "%T", e)
	}

	for _, test := range []struct {
		event events.Validator
		text  string
	}{
		{with(ticket, func(e *events.TicketCreated) { e.ID = "" }), "id: is empty"},
		{with(ticket, func(e *events.TicketCreated) { e.UserID = "" }), "userId: is empty"},
		{with(ticket, func(e *events.TicketCreated) { e.Version = -1 }), "version: -1 is negative"},
		{with(ticket, func(e *events.TicketCreated) { e.Version = 1 << 53 }), "version: 9007199254740992 is over 9007199254740991"},
		{with(ticket, func(e *events.TicketCreated) { e.Price = math.NaN() }), "price: NaN is not a finite number"},
		{with(updated, func(e *events.TicketUpdated) { e.Price = math.Inf(-1) }), "price: -Inf is not a finite number"},
		{with(updated, func(e *events.TicketUpdated) { e.Price = -0.01 }), "price: -0.01 is negative"},
		{with(order, func(e *events.OrderCreated) { e.Status = "paid" }), `status: "paid" is none of "created", "cancelled", "awaiting:payment", "complete"`},
		{with(order, func(e *events.OrderCreated) { e.ExpiresAt = time.Time{} }), "expiresAt: is not set"},
		{with(order, func(e *events.OrderCreated) { e.Ticket.ID = "" }), "ticket.id: is empty"},
		{with(order, func(e *events.OrderCreated) { e.Ticket.Price = -1 }), "ticket.price: -1 is negative"},
		{with(cancelled, func(e *events.OrderCancelled) { e.Ticket.ID = "" }), "ticket.id: is empty"},
		{with(cancelled, func(e *events.OrderCancelled) { e.Version = -2 }), "version: -2 is negative"},
		{with(payment, func(e *events.PaymentCreated) { e.ID = "" }), "id: is empty"},
		{with(payment, func(e *events.PaymentCreated) { e.OrderID = "" }), "orderId: is empty"},
		{with(payment, func(e *events.PaymentCreated) { e.StripeID = "" }), "stripeId: is empty"},
		{events.ExpirationComplete{}, "orderId: is empty"},
	} {
		require.ErrorContains(t, test.event.Validate(), test.text, "%T", test.event)
	}
}

func with[T any](e T, change func(*T)) T {
	change(&e)
	return e
}

func TestVersionedEvents(t *testing.T) {
	t.Parallel()
	versioned := make(map[subjects.Subject]bool) // and whether it begins its entity
	for _, e := range events.Catalogue() {
		if _, ok := e.(events.Versioned); ok {
			b, ok := e.(events.Beginner)
			versioned[e.Subject()] = ok && b.BeginsEntity()
		}
	}
	require.Equal(t, map[subjects.Subject]bool{
		subjects.TicketCreated: true, subjects.TicketUpdated: false, subjects.OrderCreated: true, subjects.OrderCancelled: false,
	}, versioned)
	for _, e := range []events.Versioned{
		events.TicketCreated{ID: "x", Version: 7},
		events.TicketUpdated{ID: "x", Version: 7, OrderID: "o"},
		events.OrderCreated{ID: "x", Version: 7, Ticket: events.OrderedTicket{ID: "t"}},
		events.OrderCancelled{ID: "x", Version: 7, Ticket: events.CancelledTicket{ID: "t"}},
	} {
		require.Equal(t, "x", e.EntityID(), "%T", e)
		require.EqualValues(t, 7, e.EntityVersion(), "%T", e)
	}
}

func TestValidateAllocatesNothing(t *testing.T) {
	e := events.TicketCreated{ID: "t1", UserID: "u1"}
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = e.Validate() }))
}

func ExampleTicketCreated_Validate() {
	fmt.Println(events.TicketCreated{ID: "t1", Price: -20}.Validate())
	// Output:
	// price: -20 is negative
	// userId: is empty
}

func ExampleCatalogue() {
	for _, e := range events.Catalogue() {
		fmt.Printf("%-20s %T\n", e.Subject(), e)
	}
	// Output:
	// ticket:created       events.TicketCreated
	// ticket:updated       events.TicketUpdated
	// order:created        events.OrderCreated
	// order:cancelled      events.OrderCancelled
	// expiration:complete  events.ExpirationComplete
	// payment:created      events.PaymentCreated
}
