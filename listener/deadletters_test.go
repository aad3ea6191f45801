package listener_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport/memory"
)

// onMemory returns a client of the broker, closed with the test.
func onMemory(t *testing.T, b *memory.Broker) *client.Client {
	t.Helper()
	c, err := client.Build(t.Context(), "ticketing", "test", "", client.Transport(b.Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return c
}

// publishDeadLetter stores a dead letter as a listener of that group does.
func publishDeadLetter(t *testing.T, c *client.Client, group string, subject subjects.Subject, sequence uint64) events.DeadLetter {
	t.Helper()
	d := events.NewDeadLetter(events.DeadLetter{
		Original: subject, Group: group, Sequence: sequence, Timestamp: time.Now(), Attempts: 1, Error: "broken",
		FailedAt: time.Now(), Reason: events.DeadLetterRejected, Data: []byte(`{}`),
	})
	data, err := codec.JSON{}.Encode(&d)
	require.NoError(t, err)
	raw, err := publisher.NewRaw(c)
	require.NoError(t, err)
	require.NoError(t, raw.Publish(t.Context(), publisher.Message{Subject: d.Subject(), Data: data}))
	return d
}

// TestDeadLettersOfOneSubject: no others come. A dead letter that is not handled comes
// again, and becomes no dead letter itself.
func TestDeadLettersOfOneSubject(t *testing.T) {
	t.Parallel()
	for name, broker := range map[string]func() memory.Option{"NATS Streaming": memory.NATSStreaming, "JetStream": memory.JetStream} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := memory.New(broker())
				c := onMemory(t, b)
				publishDeadLetter(t, c, "mails", subjects.OrderCreated, 1)
				publishDeadLetter(t, c, "payments", subjects.OrderCancelled, 2)
				sent := publishDeadLetter(t, c, "payments", subjects.OrderCreated, 3)
				ctx, stop := context.WithCancel(t.Context())
				var seen []string
				l, err := listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "payments", Subject: subjects.OrderCreated},
					func(_ context.Context, e events.DeadLetter, d listener.Delivery) error {
						require.Equal(t, subjects.Subject("dead.payments.order:created"), d.Subject)
						require.Equal(t, sent.Data, e.Data)
						if seen = append(seen, e.ID); len(seen) < 20 {
							return errors.New("not yet")
						}
						stop()
						return nil
					})
				require.NoError(t, err)
				require.NoError(t, l.Listen(ctx))
				require.Len(t, seen, 20)
				for _, id := range seen {
					require.Equal(t, sent.ID, id)
				}
				require.Equal(t, []string{"dead.mails.order:created", "dead.payments.order:cancelled", "dead.payments.order:created"}, b.Subjects())
			})
		})
	}
}

// TestDeadLettersThatAreStuck: the client is degraded, and says what helps.
func TestDeadLettersThatAreStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := onMemory(t, memory.New())
		publishDeadLetter(t, c, "payments", subjects.OrderCreated, 1)
		ctx, stop := context.WithCancel(t.Context())
		l, err := listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "payments", Subject: subjects.OrderCreated},
			func(context.Context, events.DeadLetter, listener.Delivery) error {
				return listener.Reject(errors.New("no"))
			},
			listener.MaxInFlight(1))
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(ctx) }()
		synctest.Wait()
		reasons := c.Status().Reasons
		require.Len(t, reasons, 1)
		require.ErrorContains(t, reasons[0].Err, "dead letters make no dead letters, so mend the handler, or raise MaxInFlight (1)")
		stop()
		require.NoError(t, <-ended)
		require.Equal(t, client.Connected, c.Status().State)
	})
}

// TestDeadLettersOfAllSubjects of a group: where the broker has wildcards.
func TestDeadLettersOfAllSubjects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := onMemory(t, memory.New(memory.JetStream()))
		publishDeadLetter(t, c, "payments", subjects.OrderCreated, 1)
		publishDeadLetter(t, c, "mails", subjects.OrderCreated, 2)
		ctx, stop := context.WithCancel(t.Context())
		var got []subjects.Subject
		l, err := listener.NewDeadLetters(c, "alerts", listener.DeadLettersOf{Group: "payments", Subject: listener.AllSubjects},
			func(_ context.Context, e events.DeadLetter, d listener.Delivery) error {
				require.Equal(t, e.Subject(), d.Subject)
				if got = append(got, e.Original); len(got) == 2 {
					stop()
				}
				return nil
			})
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- l.Listen(ctx) }()
		<-l.Ready()
		publishDeadLetter(t, c, "payments", "seat.reserved.now", 3)
		require.NoError(t, <-ended)
		require.Equal(t, []subjects.Subject{subjects.OrderCreated, "seat.reserved.now"}, got)
	})
}

func TestNewDeadLettersRefuses(t *testing.T) {
	t.Parallel()
	c := onMemory(t, memory.New())
	h := func(context.Context, events.DeadLetter, listener.Delivery) error { return nil }
	type of = listener.DeadLettersOf
	all := of{Group: "payments", Subject: listener.AllSubjects}
	for text, err := range map[string]error{
		"listen to dead.payments.> as alerts: not supported by the broker: AllSubjects": second(listener.NewDeadLetters(c, "alerts", all, h)),
		"group of the dead letters": second(listener.NewDeadLetters(c, "alerts", of{Group: "", Subject: subjects.OrderCreated}, h)),
		"the wildcard '*'":          second(listener.NewDeadLetters(c, "alerts", of{Group: "payments", Subject: "*"}, h)),
		"the name ends with a dot":  second(listener.NewDeadLetters(c, "alerts", of{Group: "payments", Subject: ""}, h)),
		"client: nil":               second(listener.NewDeadLetters(nil, "alerts", all, h)),
		"handler: nil":              second(listener.NewDeadLetters(c, "alerts", of{Group: "payments", Subject: subjects.OrderCreated}, nil)),
		"option Concurrency":        second(listener.NewDeadLetters(c, "alerts", of{Group: "payments", Subject: subjects.OrderCreated}, h, listener.Concurrency(0))),
	} {
		require.ErrorContains(t, err, text)
		var e *listener.Error
		require.ErrorAs(t, err, &e)
	}
}

func second[A any](_ A, err error) error { return err }
