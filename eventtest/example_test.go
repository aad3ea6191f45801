package eventtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/eventtest"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// cancellations is a service: it cancels the orders that expire.
func cancellations(c *client.Client) (*listener.Listener[events.ExpirationComplete], error) {
	cancelled, err := publisher.New[events.OrderCancelled](c)
	if err != nil {
		return nil, err
	}
	return listener.New(c, "cancellations", func(ctx context.Context, e events.ExpirationComplete, _ listener.Delivery) error {
		if e.OrderID == "" {
			return errors.New("which order?")
		}
		return cancelled.Publish(ctx, events.OrderCancelled{ID: e.OrderID, Version: 1, Ticket: events.CancelledTicket{ID: "t1"}})
	})
}

// A test of a service, which a function of its own runs here: in a test, t is the
// test's *testing.T.
func Example() {
	test(func(t testing.TB) {
		bus := eventtest.New(t)
		service, err := cancellations(bus.Client())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(eventtest.Deliver(t, bus, service, events.ExpirationComplete{OrderID: "o1"}))
		fmt.Println(eventtest.Deliver(t, bus, service, events.ExpirationComplete{}))

		cancelled := eventtest.RequirePublished(t, bus, func(e events.OrderCancelled) bool { return e.ID == "o1" })
		fmt.Println(cancelled.Ticket.ID, "is free again")

		eventtest.RequireIdempotent(t, bus, service, events.ExpirationComplete{OrderID: "o2"}, func() any {
			return eventtest.Published[events.OrderCancelled](bus)
		})
	})
	// Output:
	// acknowledged
	// retried in 100ms: which order?
	// t1 is free again
	// eventtest: expiration:complete delivered twice leaves another state than once; its handler has to recognise an event that it has handled ({"orderId":"o2"})
	// after once:  [
	//   {
	//     "id": "o1",
	//     "version": 1,
	//     "ticket": {
	//       "id": "t1"
	//     }
	//   },
	//   {
	//     "id": "o2",
	//     "version": 1,
	//     "ticket": {
	//       "id": "t1"
	//     }
	//   }
	// ]
	// after twice: [
	//   {
	//     "id": "o1",
	//     "version": 1,
	//     "ticket": {
	//       "id": "t1"
	//     }
	//   },
	//   {
	//     "id": "o2",
	//     "version": 1,
	//     "ticket": {
	//       "id": "t1"
	//     }
	//   },
	//   {
	//     "id": "o2",
	//     "version": 1,
	//     "ticket": {
	//       "id": "t1"
	//     }
	//   }
	// ]
}

// Listeners that listen get what is published, and what they can't handle is a dead letter.
func ExampleListen() {
	test(func(t testing.TB) {
		bus := eventtest.New(t)
		service, err := cancellations(bus.Client())
		if err != nil {
			t.Fatal(err)
		}
		expired, err := publisher.New[events.ExpirationComplete](bus.Client())
		if err != nil {
			t.Fatal(err)
		}
		eventtest.Listen(t, service) // until the end of the test

		if err := expired.Publish(context.Background(), events.ExpirationComplete{OrderID: "o1"}); err != nil {
			t.Fatal(err)
		}

		cancelled := eventtest.RequirePublished(t, bus, func(e events.OrderCancelled) bool { return e.ID == "o1" })
		fmt.Println(cancelled.Ticket.ID, "is free again")
		eventtest.RequireNotDeadLettered[events.ExpirationComplete](t, bus, nil)
	})
	// Output:
	// t1 is free again
}

func ExampleRequireDeadLettered() {
	test(func(t testing.TB) {
		bus := eventtest.New(t)
		service, err := cancellations(bus.Client())
		if err != nil {
			t.Fatal(err)
		}
		eventtest.DeliverPayload(t, bus, service, []byte(`{"orderId":7}`))

		dead := eventtest.RequireDeadLettered[events.ExpirationComplete](t, bus, func(d events.DeadLetter) bool {
			return d.Reason == events.DeadLetterUndecodable
		})
		fmt.Println(dead.Group, "could not handle", string(dead.Data))
	})
	// Output:
	// cancellations could not handle {"orderId":7}
}

// test runs f as package testing would, and prints how it fails.
func test(f func(t testing.TB)) {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.finish()
		f(r)
	}()
	<-done
	fmt.Println(r.failure)
}
