package listener_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// observed notes observations, for each sequence in their order.
type observed struct {
	mu  sync.Mutex
	all map[uint64][]observe.Observation
}

func (o *observed) Observe(what observe.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = make(map[uint64][]observe.Observation)
	}
	o.all[what.Sequence] = append(o.all[what.Sequence], what)
}

// of returns what was observed of an event, as text.
func (o *observed) of(sequence uint64) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var texts []string
	for _, what := range o.all[sequence] {
		text := fmt.Sprintf("%v %d", what.Kind, what.Attempt)
		if what.Reason != "" {
			text += " " + what.Reason
		}
		if what.Retry || what.RetryIn > 0 {
			text += fmt.Sprintf(" in %v", what.RetryIn)
		}
		if what.Took > 0 {
			text += fmt.Sprintf(" took %v", what.Took)
		}
		if what.Open {
			text += " open"
		}
		if what.Err != nil {
			text += ": " + what.Err.Error()
		}
		texts = append(texts, text)
	}
	return texts
}

// fakeBed is a test with a fake broker of those features.
type fakeBed struct {
	*testing.T

	features transport.Features
}

// onBothFeatures runs a test with a broker that takes events back and with one that does
// not.
func onBothFeatures(t *testing.T, test func(s fakeBed)) {
	t.Helper()
	for name, features := range map[string]transport.Features{"streaming": {}, "jetstream": {Nak: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(fakeBed{t, features}) })
		})
	}
}

// watch begins to listen, with an observer.
func watch(t *testing.T, features transport.Features, h listener.Handler[expiration], opts ...listener.Option) (*bench, *observed) {
	t.Helper()
	seen := &observed{}
	b := listenOn(t, &fakeconn.Conn{Declared: features}, h, append(opts, listener.Observe(seen))...)
	return b, seen
}

func (b *bench) end(t *testing.T) {
	t.Helper()
	b.stop()
	require.NoError(t, <-b.ended)
}

// TestObserveHandled: each observation says which event it is of; all observers are
// told, those of the client and of its defaults included.
func TestObserveHandled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var clients, everyones, one, two observed
		conn := &fakeconn.Conn{}
		c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused", client.Transport(conn.Dialer()),
			client.Logger(slog.New(slog.DiscardHandler)), client.Observe(&clients), listener.Defaults(listener.Observe(&everyones)))
		require.NoError(t, err)
		l, err := listener.New(c, "expirations", func(context.Context, expiration, listener.Delivery) error {
			time.Sleep(time.Second)
			return nil
		}, listener.Observe(&one), listener.Observe(&two))
		require.NoError(t, err)
		ended := make(chan error)
		go func() { ended <- l.Listen(t.Context()) }()
		<-l.Ready()
		stored := time.Unix(1, 0)
		header := transport.Header{"X-Team": {"a"}}
		conn.Subscriptions()[0].Deliver(transport.Delivery{
			Sequence: 7, Timestamp: stored, Deliveries: 3, Redelivered: true, Header: header, Data: []byte(`{"orderId":"1"}`),
		})
		time.Sleep(2 * time.Second)
		for _, o := range []*observed{&clients, &everyones, &one, &two} {
			require.Equal(t, []string{"delivered 0", "begun 1", "returned 1 took 1s", "settled 1 ack"}, o.of(7))
			for _, what := range o.all[7] {
				require.Equal(t, subjects.ExpirationComplete, what.Subject)
				require.Equal(t, "expirations", what.Group)
				require.Equal(t, stored, what.Timestamp)
				require.Equal(t, 3, what.Deliveries)
				require.True(t, what.Redelivered)
				require.Equal(t, len(`{"orderId":"1"}`), what.Bytes)
				require.Equal(t, map[string][]string(header), what.Header)
			}
		}
		require.NoError(t, c.Close(t.Context()))
		require.NoError(t, <-ended)
	})
}

// slowly notes failures a while later than they are told.
type slowly struct{ observed }

func (s *slowly) Observe(what observe.Observation) {
	if what.Kind == observe.Failed {
		time.Sleep(time.Second)
	}
	s.observed.Observe(what)
}

// TestObserveRetry: the next attempt begins only after observers know of the one before,
// even if that is at once and another worker makes it.
func TestObserveRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen slowly
		b := listenOn(t, &fakeconn.Conn{}, func(_ context.Context, e expiration, d listener.Delivery) error {
			switch {
			case e.OrderID == "2": // its worker is free for the next attempt of the other event
				time.Sleep(500 * time.Millisecond)
				return nil
			case d.Attempt == 1:
				return listener.RetryAfter(0, errNotToday)
			case d.Attempt == 2:
				panic("boom")
			default:
				return nil
			}
		}, listener.Concurrency(2), listener.Backoff(time.Second, time.Second), listener.Observe(&seen))
		b.deliver(1)
		b.deliver(2)
		time.Sleep(4 * time.Second)
		b.end(t)
		got := seen.of(1)
		require.Len(t, got, 10)
		require.Regexp(t, `^failed 2 in .*: handler panicked: boom$`, got[6])
		got[6] = ""
		require.Equal(t, []string{
			"delivered 0", "begun 1", "returned 1: not today", "failed 1 in 0s: not today",
			"begun 2", "returned 2: handler panicked: boom", "", "begun 3", "returned 3", "settled 3 ack",
		}, got)
	})
}

// TestObserveRetryElsewhere: over a broker that takes events back that is told; over the
// other nothing is said to it.
func TestObserveRetryElsewhere(t *testing.T) {
	t.Parallel()
	onBothFeatures(t, func(s fakeBed) {
		b, seen := watch(s.T, s.features, func(_ context.Context, _ expiration, d listener.Delivery) error {
			return listener.RetryAfter(time.Minute, errNotToday)
		})
		first := b.deliver(1)
		synctest.Wait()
		want := []string{"delivered 0", "begun 1", "returned 1: not today", "failed 1 in 1m0s: not today"}
		if s.features.Nak {
			want = append(want, "settled 1 nak in 1m0s")
			require.Equal(s, 1, first.Naks())
			require.Zero(s, first.Released())
		} else {
			require.Equal(s, 1, first.Released())
		}
		require.Equal(s, want, seen.of(1))

		again := b.deliver(1) // which it is too early for
		synctest.Wait()
		want = append(want, "delivered 1", "skipped 1 early in 1m0s")
		if s.features.Nak {
			want = append(want, "settled 1 nak in 1m0s")
		} else {
			require.Equal(s, 1, again.Released())
		}
		require.Equal(s, want, seen.of(1))
		b.end(s.T)
	})
}

// TestObserveDeadLetter: of an event that is rejected, of one that can't be decoded,
// which no handler sees, and of one that can't be stored at first.
func TestObserveDeadLetter(t *testing.T) {
	t.Parallel()
	for name, features := range map[string]transport.Features{"ack": {}, "term": {Nak: true, Term: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				refuse := false
				seen := &observed{}
				conn := &fakeconn.Conn{Declared: features, OnPublish: func(_ transport.Message, r transport.Receipt) {
					if refuse {
						r.Done(transport.ErrNotStored)
						return
					}
					r.Done(nil)
				}}
				b := listenOn(t, conn, func(context.Context, expiration, listener.Delivery) error { return listener.Reject(errNotToday) },
					listener.Observe(seen))
				b.deliver(1)
				synctest.Wait()
				reason := "ack"
				if features.Term {
					reason = "term"
				}
				require.Equal(t, []string{
					"delivered 0", "begun 1", "returned 1: not today", "failed 1: not today",
					"dead-lettered 1 rejected: not today", "settled 1 " + reason + settledError(features),
				}, seen.of(1))

				b.conn.Subscriptions()[0].Deliver(transport.Delivery{Sequence: 2, Timestamp: time.Unix(2, 0), Deliveries: 1, Data: []byte("{")})
				synctest.Wait()
				got := seen.of(2)
				require.Len(t, got, 4)
				require.Equal(t, "delivered 0", got[0])
				require.Contains(t, got[1], "failed 0: undecodable")
				require.Contains(t, got[2], "dead-lettered 0 undecodable: undecodable")
				require.Contains(t, got[3], "settled 0 "+reason)

				refuse = true
				b.deliver(3)
				synctest.Wait()
				got = seen.of(3)
				require.Equal(t, []string{"delivered 0", "begun 1", "returned 1: not today", "failed 1: not today"}, got[:4])
				require.Regexp(t, `^failed 1 in .*: dead letter not stored: not stored$`, got[4])
				b.end(t)
			})
		})
	}
}

// settledError is what fakeconn says to what it can't do.
func settledError(f transport.Features) string {
	if f.Term {
		return ": " + transport.ErrUnsupported.Error()
	}
	return ""
}

// TestObserveSkipped: what comes again after it was handled or while it is here, what is
// too late, and what a lost connection or a drain drops.
func TestObserveSkipped(t *testing.T) {
	t.Parallel()
	onBothFeatures(t, func(s fakeBed) {
		free := make(chan struct{})
		b, seen := watch(s.T, s.features, func(context.Context, expiration, listener.Delivery) error {
			<-free
			return nil
		}, listener.DrainTimeout(time.Minute))
		b.deliver(1)
		synctest.Wait()
		free <- struct{}{}
		synctest.Wait()
		twice := b.deliver(1)
		synctest.Wait()
		require.Equal(s, []string{
			"delivered 0", "begun 1", "returned 1", "settled 1 ack",
			"delivered 0", "skipped 0 handled", "settled 0 ack",
		}, seen.of(1))
		require.Equal(s, 1, twice.Acks())

		b.deliver(2)
		late := b.deliver(3)
		synctest.Wait()
		second := b.deliver(2)
		synctest.Wait()
		require.Equal(s, []string{"delivered 0", "begun 1", "delivered 0", "skipped 1 here"}, seen.of(2))
		time.Sleep(6 * time.Second)
		free <- struct{}{}
		synctest.Wait()
		require.Equal(s, 1, second.Acks())
		require.Equal(s, []string{"delivered 0", "skipped 0 late: skipped: its ack wait expired before a handler was free"}, seen.of(3))
		require.Equal(s, 1, late.Released())

		b.deliver(4)
		dropped := b.deliver(5)
		synctest.Wait()
		b.conn.Subscriptions()[0].Config.Interrupted()
		synctest.Wait()
		require.Equal(s, []string{"delivered 0", "skipped 0 interrupted"}, seen.of(5))
		require.Equal(s, []string{"interrupted 0"}, seen.of(0))
		require.Equal(s, 1, dropped.Released())

		waiting := b.deliver(6)
		synctest.Wait()
		b.stop()
		synctest.Wait()
		close(free)
		require.NoError(s, <-b.ended)
		want := []string{"delivered 0", "skipped 0 draining"}
		if s.features.Nak {
			want = append(want, "settled 0 nak")
			require.Equal(s, 1, waiting.Naks())
		} else {
			require.Equal(s, 1, waiting.Released())
		}
		require.Equal(s, want, seen.of(6))
	})
}

// TestObserveManualAck: an event that is acknowledged, before its handler has returned or
// after it, given back, or left open.
func TestObserveManualAck(t *testing.T) {
	t.Parallel()
	onBothFeatures(t, func(s fakeBed) {
		kept := make(chan listener.Delivery, 1)
		b, seen := watch(s.T, s.features, func(_ context.Context, e expiration, d listener.Delivery) error {
			switch e.OrderID {
			case "1":
				return d.Ack()
			case "2":
				return d.Nak(listener.RetryAfter(time.Minute, errNotToday))
			case "3":
				kept <- d
				return nil
			case "5":
				require.NoError(s, d.Ack())
				return errNotToday
			default:
				return nil
			}
		}, listener.ManualAck())
		for sequence := range uint64(5) {
			b.deliver(sequence + 1)
		}
		synctest.Wait()
		require.NoError(s, (<-kept).Ack())
		time.Sleep(6 * time.Second)
		require.Equal(s, []string{"delivered 0", "begun 1", "settled 1 ack", "returned 1"}, seen.of(1))
		nak := []string(nil)
		if s.features.Nak {
			nak = []string{"settled 1 nak in 1m0s"}
		}
		require.Equal(s, append([]string{"delivered 0", "begun 1", "returned 1", "failed 1 in 1m0s: not today"}, nak...), seen.of(2))
		require.Equal(s, []string{"delivered 0", "begun 1", "returned 1 open", "settled 1 ack"}, seen.of(3))
		got := seen.of(4)
		require.Equal(s, []string{"delivered 0", "begun 1", "returned 1 open"}, got[:3])
		require.Regexp(s, `^failed 1 in .*: the handler returned, and the event was not settled within an ack wait \(5s\)$`, got[3])
		require.Equal(s, []string{"delivered 0", "begun 1", "settled 1 ack", "returned 1: not today"}, seen.of(5))
		b.end(s.T)
	})
}

// TestObserveAckNotSent: that is said, too, and the delivery is released.
func TestObserveAckNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		b, seen := watch(t, transport.Features{}, func(context.Context, expiration, listener.Delivery) error {
			<-free
			return nil
		})
		s := b.deliver(1)
		s.Fail(errors.New("broken pipe"))
		close(free)
		synctest.Wait()
		require.Equal(t, []string{"delivered 0", "begun 1", "returned 1", "settled 1 ack: broken pipe"}, seen.of(1))
		require.Equal(t, 1, s.Released())
		b.end(t)
	})
}

// TestOnce: what its sender delivers only once is not held, and its delay is not drawn by
// chance.
func TestOnce(t *testing.T) {
	t.Parallel()
	onBothFeatures(t, func(s fakeBed) {
		b, seen := watch(s.T, s.features, func(context.Context, expiration, listener.Delivery) error { return errNotToday }, listener.Backoff(time.Second, time.Minute))
		once := b.conn.Subscriptions()[0].Deliver(transport.Delivery{Sequence: 1, Timestamp: time.Unix(1, 0), Once: true, Data: []byte(`{"orderId":"1"}`)})
		time.Sleep(time.Minute)
		require.Equal(s, []string{"delivered 0", "begun 1", "returned 1: not today", "failed 1 in 1s: not today"}, seen.of(1))
		require.Equal(s, 1, once.Released())
		b.end(s.T)
	})
}

// TestDeadLetterLogsItsAttempts, also when it is stored only after its event has come
// again.
func TestDeadLetterLogsItsAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refuse := true
		var stored events.DeadLetter
		conn := &fakeconn.Conn{OnPublish: func(m transport.Message, r transport.Receipt) {
			if refuse {
				r.Done(transport.ErrNotStored)
				return
			}
			stored = decodeDeadLetter(t, m.Data)
			r.Done(nil)
		}}
		b := listenOn(t, conn, func(context.Context, expiration, listener.Delivery) error { return errNotToday },
			listener.MaxAttempts(2), listener.Backoff(time.Second, time.Second))
		b.deliver(1)
		time.Sleep(4500 * time.Millisecond) // until it is let go
		synctest.Wait()
		refuse = false
		b.deliver(1)
		synctest.Wait()
		require.Equal(t, 2, stored.Attempts)
		require.Contains(t, b.log.String(), `msg="event given up, and stored as a dead letter" subject=expiration:complete group=expirations sequence=1 attempt=2`)
		b.end(t)
	})
}

// TestObserveWaits: an event that can't be handled yet is told apart from one that failed.
func TestObserveWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		b, seen := watch(t, transport.Features{}, func(context.Context, expiration, listener.Delivery) error {
			runs++
			switch runs {
			case 1:
				return listener.Defer(time.Second)
			case 2:
				return listener.RetryAfter(time.Second, errNotToday)
			default:
				return nil
			}
		})
		b.deliver(1)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{
			"delivered 0", "begun 1", "returned 1: deferred for 1s", "failed 1 in 1s: deferred for 1s",
			"begun 1", "returned 1: not today", "failed 1 in 1s: not today", "begun 2", "returned 2", "settled 2 ack",
		}, seen.of(1))
		var waits []bool
		for _, o := range seen.all[1] {
			if o.Kind == observe.Failed {
				waits = append(waits, o.Waits)
			}
		}
		require.Equal(t, []bool{true, false}, waits)
		b.stop()
		require.NoError(t, <-b.ended)
	})
}
