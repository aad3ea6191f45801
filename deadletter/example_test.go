package deadletter_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/deadletter"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/memory"
)

func ExampleRedrive() {
	ctx := context.Background()
	broker := memory.New()
	c, err := client.Build(ctx, "ticketing", "redrive-1", "", client.Transport(broker.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)
	leaveDeadLetter(c, `{"orderId":"o1"}`) // as a listener does

	got, err := deadletter.Redrive(ctx, c, "payments", subjects.ExpirationComplete,
		deadletter.Where(func(d events.DeadLetter) bool { return d.Reason == events.DeadLetterExhausted }),
		deadletter.Limit(1))
	fmt.Println(got.Redriven, err)
	fmt.Printf("%s\n", broker.Stored("expiration:complete")[0].Data)
	// Output:
	// 1 <nil>
	// {"orderId":"o1"}
}

func leaveDeadLetter(c *client.Client, data string) {
	d := events.NewDeadLetter(events.DeadLetter{
		Original: subjects.ExpirationComplete, Group: "payments", Sequence: 1, Timestamp: time.Now(), Attempts: 5,
		Error: "no such order", FailedAt: time.Now(), Reason: events.DeadLetterExhausted, Data: []byte(data),
	})
	payload, err := codec.JSON{}.Encode(&d)
	if err != nil {
		fmt.Println(err)
	}
	raw, err := publisher.NewRaw(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := raw.Publish(context.Background(), publisher.Message{Subject: d.Subject(), Data: payload}); err != nil {
		fmt.Println(err)
	}
}
