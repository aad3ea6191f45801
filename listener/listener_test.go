package listener_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// lockedBuffer is what several goroutines log to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bench is a listener on a fake broker.
type bench struct {
	conn   *fakeconn.Conn
	client *client.Client
	log    *lockedBuffer
	stop   context.CancelFunc
	ended  chan error
}

type expiration = events.ExpirationComplete

func build(tb testing.TB, conn *fakeconn.Conn) (*client.Client, *lockedBuffer) {
	tb.Helper()
	if conn.OnPublish == nil { // dead letters alone are published
		conn.OnPublish = func(_ transport.Message, r transport.Receipt) { r.Settle(nil) }
	}
	log := &lockedBuffer{}
	c, err := client.Build(tb.Context(), "ticketing", "test", "nats://unused",
		client.Transport(conn.Dialer()), client.Logger(slog.New(slog.NewTextHandler(log, nil))))
	require.NoError(tb, err)
	return c, log
}

// listen begins to listen; call it within a synctest bubble.
func listen(t *testing.T, h listener.Handler[expiration], opts ...listener.Option) *bench {
	t.Helper()
	return listenOn(t, &fakeconn.Conn{}, h, opts...)
}

func listenOn(t *testing.T, conn *fakeconn.Conn, h listener.Handler[expiration], opts ...listener.Option) *bench {
	t.Helper()
	b := &bench{conn: conn, ended: make(chan error, 1)}
	b.client, b.log = build(t, b.conn)
	l, err := listener.New(b.client, "expirations", h, opts...)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	t.Cleanup(stop)
	ready := l.Ready()
	go func() { b.ended <- l.Listen(ctx) }()
	<-ready
	return b
}

func (b *bench) deliver(sequence uint64) *fakeconn.Settled {
	return b.conn.Subscriptions()[0].Deliver(transport.Delivery{
		Sequence: sequence, Timestamp: time.Unix(int64(sequence), 0), Deliveries: 1,
		Data: []byte(`{"orderId":"` + strconv.FormatUint(sequence, 10) + `"}`),
	})
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(context.Context, expiration, listener.Delivery) error { return nil })
		config := b.conn.Subscriptions()[0].Config
		require.Equal(t, 1, config.Room(), "before a handler has shown how long it takes")
		config.Room, config.Interrupted = nil, nil
		require.Equal(t, transport.SubscribeConfig{
			Subject: "expiration:complete", Group: "expirations", Durable: "expirations",
			Start: transport.All, AckWait: 5 * time.Second, MaxInFlight: 16,
		}, config)
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(_ context.Context, e expiration, d listener.Delivery) error {
			switch d.Sequence {
			case 2:
				return errors.New("not today")
			case 3:
				panic("boom")
			case 4:
				runtime.Goexit()
			}
			require.Equal(t, strconv.FormatUint(d.Sequence, 10), e.OrderID)
			require.Equal(t, subjects.ExpirationComplete, d.Subject)
			return nil
		})
		settled := make([]*fakeconn.Settled, 6)
		for n := uint64(1); n <= 5; n++ {
			settled[n] = b.deliver(n)
		}
		synctest.Wait()
		for n, acks := range []int{1: 1, 2: 0, 3: 0, 4: 0, 5: 1} {
			if n > 0 {
				require.Equal(t, acks, settled[n].Acks(), "event %d", n)
			}
		}
		for _, text := range []string{
			`sequence=2 attempt=1 error="not today"`, "panic=boom", "stack=", "runtime.Goexit",
			"subject=expiration:complete group=expirations",
		} {
			require.Contains(t, b.log.String(), text)
		}
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestDrain: the running handler finishes and is acknowledged, although Listen's
// context is done; what waits is left for redelivery.
func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			select {
			case <-time.After(4 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		one, two := b.deliver(1), b.deliver(2)
		synctest.Wait()
		started := time.Now()
		b.stop()
		require.NoError(t, <-b.ended)
		require.Equal(t, 4*time.Second, time.Since(started))
		require.Equal(t, 1, one.Acks())
		require.Zero(t, two.Acks())
	})
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan error, 1)
		b := listen(t, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			<-ctx.Done()
			cut <- ctx.Err()
			return ctx.Err()
		}, listener.DrainTimeout(10*time.Second))
		one := b.deliver(1)
		synctest.Wait()
		started := time.Now()
		b.stop()
		err := <-b.ended
		require.Equal(t, 10*time.Second, time.Since(started))
		require.ErrorIs(t, err, listener.ErrUnfinished)
		require.EqualError(t, err, "listen to expiration:complete as expirations: unfinished: "+
			"1 handlers still running (sequences [1]), 0 events not settled: they come again (context deadline exceeded)")
		require.ErrorIs(t, <-cut, context.Canceled)
		require.Zero(t, one.Acks())
	})
}

// TestTheServerIsToldAfterAnUnfinishedDrain: the end of the subscription has a time
// of its own, and what it lacked is in the error, too.
func TestTheServerIsToldAfterAnUnfinishedDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unconfirmed := errors.New("not confirmed")
		conn := &fakeconn.Conn{OnLeave: func(ctx context.Context) error {
			require.NoError(t, ctx.Err())
			<-ctx.Done() // the server does not answer
			return unconfirmed
		}}
		b := listenOn(t, conn, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		}, listener.DrainTimeout(10*time.Second))
		b.deliver(1)
		synctest.Wait()
		started := time.Now()
		b.stop()
		err := <-b.ended
		require.Equal(t, 12500*time.Millisecond, time.Since(started))
		require.ErrorIs(t, err, listener.ErrUnfinished)
		require.ErrorIs(t, err, unconfirmed)
	})
}

// TestManualDrain: the drain waits for what is not settled until its ack wait has
// passed, since it comes again then.
func TestManualDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deliveries := make(chan listener.Delivery, 2)
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			deliveries <- d
			return nil
		}, listener.ManualAck())
		one, two := b.deliver(1), b.deliver(2)
		first, second := <-deliveries, <-deliveries
		require.NoError(t, first.Ack())
		started := time.Now()
		b.stop()
		require.NoError(t, <-b.ended)
		require.Equal(t, 5*time.Second, time.Since(started))
		require.Equal(t, 1, one.Acks())
		require.Zero(t, two.Acks())
		require.ErrorIs(t, first.Ack(), listener.ErrSettled)
		require.ErrorIs(t, second.Ack(), listener.ErrSubscriptionClosed)
		require.Zero(t, two.Acks())
	})
}

func TestHandlerTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			started := time.Now()
			<-ctx.Done()
			require.Equal(t, 3*time.Second, time.Since(started))
			return ctx.Err()
		}, listener.HandlerTimeout(3*time.Second))
		one := b.deliver(1)
		time.Sleep(4 * time.Second)
		require.Zero(t, one.Acks())
		require.Contains(t, b.log.String(), "context deadline exceeded")
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestNilAfterTheDeadlineAcknowledges: the handler says that it handled the event.
func TestNilAfterTheDeadlineAcknowledges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(ctx context.Context, _ expiration, _ listener.Delivery) error {
			<-ctx.Done()
			return nil
		}, listener.HandlerTimeout(3*time.Second))
		one := b.deliver(1)
		time.Sleep(4 * time.Second)
		require.Equal(t, 1, one.Acks())
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestNakAfterListen: over a broker that can't be told there is nothing to send, so
// that it is no error; over one that can, it is too late.
func TestNakAfterListen(t *testing.T) {
	t.Parallel()
	for _, features := range []transport.Features{{}, {Nak: true}} {
		synctest.Test(t, func(t *testing.T) {
			var kept listener.Delivery
			b := listenOn(t, &fakeconn.Conn{Declared: features}, func(_ context.Context, _ expiration, d listener.Delivery) error {
				kept = d
				return nil
			}, listener.ManualAck())
			b.deliver(1)
			synctest.Wait()
			b.stop()
			require.NoError(t, <-b.ended)
			err := kept.Nak(errors.New("not today"))
			if features.Nak {
				require.ErrorIs(t, err, listener.ErrSubscriptionClosed)
			} else {
				require.NoError(t, err)
			}
			require.ErrorIs(t, kept.Nak(nil), listener.ErrSettled)
		})
	}
}

// TestSlowHandlerIsNotStartedTwice, and its late acknowledgement counts.
func TestSlowHandlerIsNotStartedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		b := listen(t, func(context.Context, expiration, listener.Delivery) error {
			runs.Add(1)
			time.Sleep(12 * time.Second)
			return nil
		}, listener.Concurrency(2))
		one := b.deliver(1)
		time.Sleep(5 * time.Second)
		again := b.deliver(1)
		time.Sleep(10 * time.Second)
		require.Equal(t, int64(1), runs.Load())
		require.Equal(t, 1, one.Acks()+again.Acks())
		require.Equal(t, 1, again.Acks(), "through the latest delivery")
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestConcurrency: as many handlers run side by side, and no more.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		running, release := make(chan struct{}, 10), make(chan struct{})
		b := listen(t, func(context.Context, expiration, listener.Delivery) error {
			running <- struct{}{}
			<-release
			return nil
		}, listener.Concurrency(4))
		for n := uint64(1); n <= 10; n++ {
			b.deliver(n)
		}
		for want := 4; want <= 10; want++ { // each that returns makes way for one
			synctest.Wait()
			require.Len(t, running, want)
			release <- struct{}{}
		}
		close(release)
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

// TestAcknowledgedAgain: what comes again although it was acknowledged is
// acknowledged once more, and not run; Listen waits for that, too.
func TestAcknowledgedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		b := listen(t, func(context.Context, expiration, listener.Delivery) error {
			runs.Add(1)
			return nil
		})
		one := b.deliver(1)
		synctest.Wait()
		again := b.deliver(1)
		b.stop()
		require.NoError(t, <-b.ended)
		require.Equal(t, 1, one.Acks())
		require.Equal(t, 1, again.Acks())
		require.Equal(t, int64(1), runs.Load())
	})
}

func TestOrderingKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []uint64
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			time.Sleep(time.Duration(10-d.Sequence) * 100 * time.Millisecond) // later ones are quicker
			mu.Lock()
			defer mu.Unlock()
			order = append(order, d.Sequence)
			return nil
		}, listener.Concurrency(8), listener.OrderingKey(func(e expiration) string {
			n, _ := strconv.Atoi(e.OrderID)
			return strconv.Itoa(n % 2)
		}))
		for n := uint64(1); n <= 6; n++ {
			b.deliver(n)
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		var odd, even []uint64
		for _, n := range order {
			if n%2 == 1 {
				odd = append(odd, n)
			} else {
				even = append(even, n)
			}
		}
		require.Equal(t, []uint64{1, 3, 5}, odd)
		require.Equal(t, []uint64{2, 4, 6}, even)
		require.NotEqual(t, []uint64{1, 2, 3, 4, 5, 6}, order, "the keys do not wait for one another")
		b.stop() // no handler runs
		require.NoError(t, <-b.ended)
	})
}

// TestOrderingKeyWithManualAck: the next of a key begins when the one before it is
// settled; what is left open for an ack wait is tried again first.
func TestOrderingKeyWithManualAck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deliveries := make(chan listener.Delivery, 3)
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			deliveries <- d
			return nil
		}, listener.ManualAck(), listener.AckWait(10*time.Second), listener.Concurrency(4), listener.OrderingKey(func(expiration) string { return "" }))
		for n := uint64(1); n <= 3; n++ {
			b.deliver(n)
		}
		first := <-deliveries
		time.Sleep(4 * time.Second)
		require.Empty(t, deliveries)
		require.NoError(t, first.Ack())
		require.Equal(t, uint64(2), (<-deliveries).Sequence)
		time.Sleep(5 * time.Second)
		b.deliver(3) // 3 comes again meanwhile
		time.Sleep(4 * time.Second)
		require.Empty(t, deliveries)
		second := b.deliver(2) // 2 was left open for an ack wait: its next attempt is due
		retried := <-deliveries
		require.Equal(t, uint64(2), retried.Sequence)
		require.Equal(t, 2, retried.Attempt)
		require.NoError(t, retried.Ack())
		require.Equal(t, 1, second.Acks())
		require.Equal(t, uint64(3), (<-deliveries).Sequence)
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestUndecodableAndInvalid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		b := listen(t, func(context.Context, expiration, listener.Delivery) error {
			runs.Add(1)
			return nil
		}, listener.Validate())
		sub := b.conn.Subscriptions()[0]
		for n, data := range []string{`null`, `{"orderId":7}`, `{"orderId":""}`, `{"orderId":"` + strings.Repeat("x", 1000) + "\xff"} {
			settled := sub.Deliver(transport.Delivery{Sequence: uint64(n + 1), Data: []byte(data)})
			synctest.Wait()
			require.Equal(t, 1, settled.Acks(), data)
			var letter events.DeadLetter
			require.NoError(t, codec.JSON{}.Decode(b.conn.Published()[n].Data, &letter))
			require.Equal(t, data, string(letter.Data))
			require.Zero(t, letter.Attempts)
			if n == 2 {
				require.Equal(t, events.DeadLetterInvalid, letter.Reason)
			} else {
				require.Equal(t, events.DeadLetterUndecodable, letter.Reason)
			}
		}
		require.Zero(t, runs.Load())
		for _, text := range []string{"sequence=1", "sequence=4", "not a JSON object", "/orderId", "invalid event: orderId: is empty", "not valid UTF-8"} {
			require.Contains(t, b.log.String(), text)
		}
		require.NotContains(t, b.log.String(), "xxx", "no payloads in the log")
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestListenTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		c, _ := build(t, conn)
		l, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil })
		require.NoError(t, err)
		for range 2 { // again after it returned
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			ready := l.Ready()
			go func() { ended <- l.Listen(ctx) }()
			<-ready
			require.ErrorIs(t, l.Listen(ctx), listener.ErrListening)
			require.ErrorIs(t, l.DeleteDurable(ctx), listener.ErrListening)
			stop()
			require.NoError(t, <-ended)
		}
		require.NoError(t, l.DeleteDurable(t.Context()))
		require.Len(t, conn.Deleted(), 1)

		deleting, refused := make(chan struct{}), errors.New("not today")
		conn.OnDelete = func(context.Context) error {
			<-deleting
			return refused
		}
		deleted := make(chan error)
		go func() { deleted <- l.DeleteDurable(t.Context()) }()
		synctest.Wait()
		err = l.Listen(t.Context())
		require.NotErrorIs(t, err, listener.ErrListening)
		require.EqualError(t, err, "listen to expiration:complete as g: DeleteDurable is under way; wait until it has returned")
		close(deleting)
		err = <-deleted
		require.ErrorIs(t, err, refused)
		require.EqualError(t, err, "delete the durable of expiration:complete as g: not today")
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("too many channels")
		good, bad := &fakeconn.Conn{}, &fakeconn.Conn{SubscribeError: refused}
		goodClient, _ := build(t, good)
		badClient, _ := build(t, bad)
		h := func(context.Context, expiration, listener.Delivery) error { return nil }
		l1, err := listener.New(goodClient, "g", h)
		require.NoError(t, err)
		l2, err := listener.New(badClient, "g", h)
		require.NoError(t, err)

		err = listener.Run(t.Context(), l1, l2) // one that fails drains the other
		require.ErrorIs(t, err, refused)
		var typed *listener.Error
		require.ErrorAs(t, err, &typed)
		require.Equal(t, subjects.ExpirationComplete, typed.Subject)
		require.Equal(t, "g", typed.Group)

		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		require.NoError(t, listener.Run(ctx, l1))
		require.ErrorIs(t, listener.Run(t.Context()), client.ErrInvalid)
		require.ErrorContains(t, listener.Run(t.Context(), l1, nil), "listener 2 of 2: nil")
	})
}

func TestConnectionLostEndsListen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := listen(t, func(context.Context, expiration, listener.Delivery) error { return nil })
		b.conn.End(transport.ErrConnectionLost)
		require.ErrorIs(t, <-b.ended, listener.ErrConnectionLost)
	})
}

func TestZeroDelivery(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, listener.Delivery{}.Ack(), listener.ErrNotDelivered)
	require.ErrorIs(t, listener.Delivery{}.Nak(nil), listener.ErrNotDelivered)
}

func orderID(e events.OrderCreated) string { return e.ID }

type free struct{}

func (free) Subject() subjects.Subject { return "free" }

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{Declared: transport.Features{AckWaitUnit: time.Second}})
	h := func(context.Context, expiration, listener.Delivery) error { return nil }
	type o = listener.Option
	for _, test := range []struct {
		group string
		opts  []listener.Option
		text  string
	}{
		{"a:b", nil, `queue group "a:b": it holds a ':'`},
		{"a b", nil, "queue group: its rules are those of subjects"},
		{"a.*", nil, "wildcard"},
		{"g", []o{listener.DurableName("")}, "DurableName: its rules are those of subjects: invalid subject: the name is empty"},
		{"g", []o{listener.DurableName("a:b")}, `DurableName "a:b": it holds a ':'`},
		{"g", []o{listener.DurableName("d"), listener.Ephemeral()}, "Ephemeral and DurableName: they exclude one another"},
		{"g", []o{listener.AckWait(0)}, "option AckWait: 0s; must be positive"},
		{"g", []o{listener.AckWait(-1)}, "option AckWait: -1ns; must be positive"},
		{"g", []o{listener.AckWait(1500 * time.Millisecond)}, "option AckWait: 1.5s; this broker takes multiples of 1s"},
		{"g", []o{listener.MaxInFlight(0)}, "option MaxInFlight: 0; must be from 1"},
		{"g", []o{listener.MaxInFlight(-3)}, "option MaxInFlight: -3"},
		{"g", []o{listener.MaxInFlight(1 << 40)}, "option MaxInFlight"},
		{"g", []o{listener.Concurrency(0)}, "option Concurrency: 0"},
		{"g", []o{listener.Concurrency(-1)}, "option Concurrency: -1"},
		{"g", []o{listener.Concurrency(8), listener.MaxInFlight(7)}, "MaxInFlight: 7 is less than Concurrency 8"},
		{"g", []o{listener.HandlerTimeout(0)}, "option HandlerTimeout: 0s; must be positive"},
		{"g", []o{listener.HandlerTimeout(-time.Second)}, "option HandlerTimeout: -1s"},
		{"g", []o{listener.DrainTimeout(0)}, "option DrainTimeout: 0s; must be positive"},
		{"g", []o{listener.DrainTimeout(-time.Second)}, "option DrainTimeout: -1s"},
		{"g", []o{listener.StartAt(listener.Sequence(0))}, "option StartAt: invalid: sequence 0"},
		{"g", []o{listener.StartAt(listener.Since(time.Time{}))}, "since the zero time"},
		{"g", []o{listener.StartAt(listener.Ago(-time.Second))}, "-1s ago: must be positive"},
		{"g", []o{listener.OrderingKey(func(e expiration) string { return e.OrderID })}, "OrderingKey: it needs a Concurrency of 2 or more"},
		{"g", []o{listener.OrderingKey[expiration](nil)}, "option OrderingKey: nil"},
		{"g", []o{listener.Concurrency(2), listener.OrderingKey(orderID)}, "OrderingKey: it is a func(events.OrderCreated) string, and"},
		{"g", []o{listener.Codec(nil)}, "option Codec: nil"},
		{"g", []o{nil}, "option: nil"},
	} {
		_, err := listener.New(c, test.group, h, test.opts...)
		require.ErrorIs(t, err, client.ErrInvalid, test.text)
		require.ErrorContains(t, err, test.text)
		require.ErrorContains(t, err, "expiration:complete")
	}
	_, err := listener.New[expiration](c, "g", nil)
	require.ErrorContains(t, err, "handler: nil")
	_, err = listener.New(nil, "g", h)
	require.ErrorContains(t, err, "client: nil")
	_, err = listener.New(c, "g", func(context.Context, *expiration, listener.Delivery) error { return nil })
	require.ErrorContains(t, err, "it is a pointer; use events.ExpirationComplete")
	_, err = listener.New(c, "g", func(context.Context, events.Event, listener.Delivery) error { return nil })
	require.ErrorContains(t, err, "it is an interface")
	_, err = listener.New(c, "", func(context.Context, events.DeadLetter, listener.Delivery) error { return nil })
	require.ErrorContains(t, err, "listen with listener.NewDeadLetters")
	_, err = listener.New(c, "g", func(context.Context, free, listener.Delivery) error { return nil }, listener.Validate())
	require.ErrorContains(t, err, "listener_test.free has no method Validate")

	l, err := listener.New(c, "", h)
	require.NoError(t, err)
	require.ErrorContains(t, l.DeleteDurable(t.Context()), "no durable to delete")
}
