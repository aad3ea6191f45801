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
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// touchy is an event whose own methods panic.
type touchy struct {
	Number exploding `json:"number"`
	Bad    bool      `json:"bad"`
}

type exploding int

func (*exploding) UnmarshalJSON([]byte) error { panic("unmarshal") }

func (touchy) Subject() subjects.Subject { return "touchy" }

func (e touchy) Validate() error {
	if e.Bad {
		panic("validate")
	}
	return nil
}

// TestPanicsOfAnEventsOwnMethods make it undecodable, and do not end the process.
func TestPanicsOfAnEventsOwnMethods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c, log := build(t, conn)
		handled := make(chan uint64, 10)
		l, err := listener.New(c, "g", func(_ context.Context, _ touchy, d listener.Delivery) error {
			handled <- d.Sequence
			return nil
		}, listener.Validate(), listener.Concurrency(2), listener.OrderingKey(func(touchy) string { return "" }))
		require.NoError(t, err)
		keyless, err := listener.New(c, "h", func(context.Context, touchy, listener.Delivery) error { return nil }, listener.Concurrency(2),
			listener.OrderingKey(func(touchy) string { panic("key") }))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- listener.Run(ctx, l, keyless) }()
		<-l.Ready()
		<-keyless.Ready()
		for _, sub := range conn.Subscriptions() {
			for n, data := range []string{`{"number":1}`, `{"bad":true}`, `{}`} {
				sub.Deliver(transport.Delivery{Sequence: uint64(n + 1), Data: []byte(data)})
			}
		}
		require.Equal(t, uint64(3), <-handled)
		synctest.Wait()
		for _, text := range []string{"panicked: unmarshal", "panicked: validate", "OrderingKey panicked: key"} {
			require.Contains(t, log.String(), text)
		}
		stop()
		require.NoError(t, <-ended)
	})
}

// promoted has a Subject method only as long as its pointer is not nil.
type promoted struct{ *free }

func TestNewRefusesAPromotedNilSubject(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{})
	_, err := listener.New(c, "g", func(context.Context, promoted, listener.Delivery) error { return nil })
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, "its Subject method panics on the zero value")
}

// TestNilListenerIsRefused: one that nobody made, as a type that embeds one may
// hold, is an error and does not panic.
func TestNilListenerIsRefused(t *testing.T) {
	t.Parallel()
	var none *listener.Listener[expiration]
	for _, l := range []*listener.Listener[expiration]{none, new(listener.Listener[expiration])} {
		for _, err := range []error{l.Listen(t.Context()), l.DeleteDurable(t.Context()), listener.Run(t.Context(), l)} {
			var typed *listener.Error
			require.ErrorAs(t, err, &typed)
			require.Equal(t, subjects.ExpirationComplete, typed.Subject)
			require.ErrorIs(t, err, client.ErrInvalid)
			require.ErrorContains(t, err, "listener: nil; make one with New")
		}
		select {
		case <-l.Ready():
			require.Fail(t, "it never listens")
		default:
		}
	}
}

// TestManualErrors: an error gives an open event back, and leaves a settled one as
// it is; an acknowledgement that could not be sent can be tried again.
func TestManualErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deliveries := make(chan listener.Delivery, 3)
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			deliveries <- d
			switch d.Sequence {
			case 1:
				return errors.New("not today")
			case 2:
				require.NoError(t, d.Ack())
				return errors.New("afterwards")
			}
			return nil
		}, listener.ManualAck())
		one, two := b.deliver(1), b.deliver(2)
		first := <-deliveries
		<-deliveries
		synctest.Wait()
		require.ErrorIs(t, first.Ack(), listener.ErrSettled)
		require.Zero(t, one.Acks())
		require.Equal(t, 1, two.Acks())
		require.Contains(t, b.log.String(), "handler failed after it had settled its event")

		three := b.deliver(3)
		third := <-deliveries
		unsent := errors.New("no connection")
		three.Fail(unsent)
		require.ErrorIs(t, third.Ack(), unsent)
		three.Fail(nil)
		require.NoError(t, third.Ack())
		require.Equal(t, 1, three.Acks())
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestAckThatFailsAfterTheHandler: where the acknowledgement is under way when the
// handler returns an error, and fails, the event is given up in time and tried again.
func TestAckThatFailsAfterTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs, unsent := 0, make(chan error, 1)
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			runs++
			if runs > 1 {
				return d.Ack()
			}
			time.Sleep(time.Second)
			go func() { unsent <- d.Ack() }()
			time.Sleep(time.Second)
			return errors.New("not today")
		}, listener.ManualAck())
		lost := b.deliver(1)
		lost.Fail(transport.ErrConnectionLost)
		lost.SlowDown(2 * time.Second)
		require.ErrorIs(t, <-unsent, transport.ErrConnectionLost)
		time.Sleep(10 * time.Second)
		again := b.deliver(1)
		synctest.Wait()
		require.Equal(t, 2, runs)
		require.Equal(t, 1, again.Acks())
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestLateAckGoesThroughTheLatestDelivery: the one before it means nothing to the server
// any more.
func TestLateAckGoesThroughTheLatestDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := make(chan listener.Delivery, 2)
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			attempts <- d
			if d.Attempt > 1 {
				time.Sleep(time.Second)
			}
			return nil
		}, listener.ManualAck())
		first := b.deliver(1)
		time.Sleep(6 * time.Second) // it was given up after 5
		again := b.deliver(1)
		late := <-attempts
		<-attempts
		require.NoError(t, late.Ack())
		require.Zero(t, first.Acks())
		require.Equal(t, 1, again.Acks())
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestNextAttemptBeginsSoonAfterTheExpiry when the event came again before it: the
// server sends it one ack wait after it sent it, the listener gives it up one ack
// wait after the handler returned.
func TestNextAttemptBeginsSoonAfterTheExpiry(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]listener.Option{
		"not settled":        {listener.ManualAck()},
		"failed, but slowly": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused",
					client.Transport(memory.New().Dialer()), client.Logger(slog.New(slog.DiscardHandler)))
				require.NoError(t, err)
				p, err := publisher.New[expiration](c)
				require.NoError(t, err)
				require.NoError(t, p.Publish(t.Context(), expiration{OrderID: "o1"}))
				ctx, stop := context.WithCancel(t.Context())
				started := time.Now()
				var begun []time.Duration
				l, err := listener.New(c, "g", func(_ context.Context, _ expiration, d listener.Delivery) error {
					begun = append(begun, time.Since(started))
					if d.Attempt > 1 {
						_ = d.Ack()
						stop()
						return nil
					}
					if opts == nil {
						time.Sleep(5500 * time.Millisecond)
						return errors.New("not today")
					}
					time.Sleep(500 * time.Millisecond)
					return nil
				}, opts...)
				require.NoError(t, err)
				require.NoError(t, l.Listen(ctx))
				require.Len(t, begun, 2)
				require.InDelta(t, 5575*time.Millisecond, begun[1], float64(25*time.Millisecond), "after the backoff")
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// TestNakGivesTheLatestDeliveryBack where the broker can, and does not run it by
// itself then: it comes again.
func TestNakGivesTheLatestDeliveryBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deliveries := make(chan listener.Delivery, 2)
		b := listenOn(t, &fakeconn.Conn{Declared: transport.Features{Nak: true}}, func(_ context.Context, _ expiration, d listener.Delivery) error {
			deliveries <- d
			return nil
		}, listener.ManualAck())
		one := b.deliver(1)
		first := <-deliveries
		again := b.deliver(1)
		synctest.Wait()
		require.NoError(t, first.Nak(errors.New("not today")))
		require.Zero(t, one.Naks())
		require.Equal(t, 1, again.Naks())
		synctest.Wait()
		require.Empty(t, deliveries)
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// unconfirmed never confirms a subscription, and delivers to it all the same.
type unconfirmed struct {
	fakeconn.Conn
	late chan func()
}

func (u *unconfirmed) Subscribe(ctx context.Context, _ transport.SubscribeConfig, deliver func(transport.Delivery)) (transport.Subscription, error) {
	sequence := uint64(0)
	u.late <- func() {
		sequence++
		deliver(transport.Delivery{Sequence: sequence, Data: []byte(`{"orderId":"o1"}`), Settler: &fakeconn.Settled{}})
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestNoHandlerBeginsAfterListen, although the server delivers to a subscription
// that Listen's context ended before it was confirmed.
func TestNoHandlerBeginsAfterListen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := make(chan func(), 1)
		c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Logger(slog.New(slog.DiscardHandler)),
			client.Transport(func(ctx context.Context, cfg transport.Config) (transport.Conn, error) {
				conn := &unconfirmed{late: late}
				_, err := conn.Dialer()(ctx, cfg)
				return conn, err
			}))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		runs := 0
		l, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error {
			time.Sleep(time.Second)
			runs++
			return nil
		})
		require.NoError(t, err)
		ended := make(chan error)
		go func() { ended <- l.Listen(ctx) }()
		deliver := <-late
		deliver() // before it is confirmed: its handler runs to its end
		synctest.Wait()
		stop()
		require.NoError(t, <-ended)
		require.Equal(t, 1, runs)
		deliver() // after Listen has returned
		time.Sleep(time.Minute)
		require.Equal(t, 1, runs)
	})
}
