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
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport/memory"
)

// bed is a client on a broker in memory, of both kinds, in virtual time.
type bed struct {
	*testing.T
	broker *memory.Broker
	client *client.Client
	log    *lockedBuffer
}

func onBoth(t *testing.T, test func(s *bed)) {
	t.Helper()
	for name, kind := range map[string]memory.Option{"streaming": memory.NATSStreaming(), "jetstream": memory.JetStream()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(serve(t, memory.New(kind))) })
		})
	}
}

func serve(t *testing.T, broker *memory.Broker, opts ...client.Option) *bed {
	t.Helper()
	s := &bed{T: t, broker: broker, log: &lockedBuffer{}}
	var err error
	s.client, err = client.Build(t.Context(), "ticketing", "test", "nats://unused",
		append(opts, client.Transport(broker.Dialer()), client.Logger(slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))))...)
	require.NoError(t, err)
	return s
}

func (s *bed) publish(orders ...string) {
	s.Helper()
	p, err := publisher.New[expiration](s.client)
	require.NoError(s, err)
	for _, o := range orders {
		require.NoError(s, p.Publish(s.Context(), expiration{OrderID: o}))
	}
}

// gives: the broker takes an event back.
func (s *bed) gives() bool { return access.Session(s.client).Conn.Features().Nak }

// listen begins to listen, and returns what ends it.
func (s *bed) listen(h listener.Handler[expiration], opts ...listener.Option) (stop func()) {
	s.Helper()
	l, err := listener.New(s.client, "payments", h, opts...)
	require.NoError(s, err)
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	ready := l.Ready()
	go func() { ended <- l.Listen(ctx) }()
	<-ready
	return func() {
		cancel()
		require.NoError(s, <-ended)
	}
}

func (s *bed) close() { require.NoError(s, s.client.Close(context.WithoutCancel(s.Context()))) }

// letters returns the dead letters of the group.
func (s *bed) letters() []events.DeadLetter {
	s.Helper()
	var all []events.DeadLetter
	for _, m := range s.broker.Stored("dead.payments.expiration:complete") {
		var letter events.DeadLetter
		require.NoError(s, codec.JSON{}.Decode(m.Data, &letter))
		require.NoError(s, letter.Validate())
		all = append(all, letter)
	}
	return all
}

// open returns how many events the group would still be sent.
func (s *bed) open() int {
	s.Helper()
	n := 0
	stop := s.listen(func(context.Context, expiration, listener.Delivery) error { n++; return nil })
	time.Sleep(time.Minute)
	stop()
	return n
}

// TestFailsForGood: the event is tried as often as it may be, each time later than
// before, while others go on; then it is a dead letter, and does not come again.
func TestFailsForGood(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		began := time.Now()
		var attempts []int
		var times []time.Duration
		var good time.Duration
		stop := s.listen(func(_ context.Context, e expiration, d listener.Delivery) error {
			if e.OrderID == "good" {
				good = time.Since(began)
				return nil
			}
			attempts, times = append(attempts, d.Attempt), append(times, time.Since(began))
			if d.Attempt == 3 {
				panic(errNotToday)
			}
			return errNotToday
		}, listener.MaxAttempts(5), listener.Backoff(200*time.Millisecond, 400*time.Millisecond))
		s.publish("bad", "good")
		time.Sleep(time.Minute)
		stop()
		require.Zero(s, good)
		require.Equal(s, []int{1, 2, 3, 4, 5}, attempts)
		for n, longest := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 400 * time.Millisecond, 400 * time.Millisecond} {
			require.InDelta(s, longest*3/4, times[n+1]-times[n], float64(longest/4))
		}
		letters := s.letters()
		require.Len(s, letters, 1)
		require.Equal(s, events.DeadLetterExhausted, letters[0].Reason)
		require.Equal(s, 5, letters[0].Attempts)
		require.Equal(s, "not today", letters[0].Error)
		require.Equal(s, `{"orderId":"bad"}`, string(letters[0].Data))
		require.Equal(s, uint64(1), letters[0].Sequence)
		require.Contains(s, s.log.String(), `msg="handler failed: the event is tried again"`)
		require.Contains(s, s.log.String(), "event given up, and stored as a dead letter")
		require.Zero(s, s.open())
		s.close()
	})
}

// TestOutcomesOfAHandler: what a handler returns decides what becomes of the event,
// and so does what it gives to Nak.
func TestOutcomesOfAHandler(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]listener.Option{"automatic": nil, "manual": {listener.ManualAck()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				began := time.Now()
				times := map[string][]time.Duration{}
				var mu sync.Mutex
				stop := s.listen(func(ctx context.Context, e expiration, d listener.Delivery) error {
					mu.Lock()
					times[e.OrderID] = append(times[e.OrderID], time.Since(began))
					mu.Unlock()
					var err error
					switch {
					case e.OrderID == "reject":
						err = fmt.Errorf("wrapped: %w", listener.Reject(errNotToday))
					case d.Attempt > 1:
					case e.OrderID == "soon":
						err = listener.RetryAfter(time.Second, errNotToday)
					case e.OrderID == "much later":
						err = listener.RetryAfter(12*time.Second, errNotToday)
					case e.OrderID == "too slow":
						<-ctx.Done()
						err = ctx.Err()
					}
					if opts == nil {
						return err
					}
					if err != nil {
						return d.Nak(err)
					}
					return d.Ack()
				}, append(opts, listener.Concurrency(8), listener.HandlerTimeout(2*time.Second))...)
				s.publish("fine", "reject", "soon", "much later", "too slow")
				time.Sleep(time.Minute)
				stop()
				require.Equal(s, []time.Duration{0}, times["fine"])
				require.Equal(s, []time.Duration{0}, times["reject"])
				require.Equal(s, []time.Duration{0, time.Second}, times["soon"])
				require.Equal(s, []time.Duration{0, 12 * time.Second}, times["much later"])
				require.Len(s, times["too slow"], 2)
				require.InDelta(s, 2075*time.Millisecond, times["too slow"][1], float64(25*time.Millisecond))
				letters := s.letters()
				require.Len(s, letters, 1)
				require.Equal(s, events.DeadLetterRejected, letters[0].Reason)
				require.Equal(s, "wrapped: not today", letters[0].Error)
				require.Zero(s, s.open())
				s.close()
			})
		})
	}
}

// TestErrorThatPanics: an error whose own methods panic is one like any other.
func TestErrorThatPanics(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]listener.Option{"automatic": nil, "manual": {listener.ManualAck()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				stop := s.listen(func(_ context.Context, _ expiration, d listener.Delivery) error {
					var none *missing
					if opts != nil {
						return d.Nak(none)
					}
					return none
				}, append(opts, listener.MaxAttempts(2))...)
				s.publish("o1")
				time.Sleep(time.Minute)
				stop()
				letters := s.letters()
				require.Len(s, letters, 1)
				require.Equal(s, 2, letters[0].Attempts)
				require.Contains(s, letters[0].Error, "(*listener_test.missing) whose own methods panic: ")
				s.close()
			})
		})
	}
}

// TestRejectWins over RetryAfter, whichever is around the other, and needs no error.
func TestRejectWins(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		answers := map[string]error{
			"around": listener.Reject(listener.RetryAfter(time.Second, errNotToday)),
			"within": listener.RetryAfter(time.Second, listener.Reject(errNotToday)),
			"joined": errors.Join(listener.RetryAfter(time.Second, errNotToday), listener.Reject(nil)),
			"bare":   listener.Reject(nil),
		}
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error { return answers[e.OrderID] })
		s.publish("around", "within", "joined", "bare")
		synctest.Wait()
		texts := map[string]int{}
		for _, l := range s.letters() {
			require.Equal(s, events.DeadLetterRejected, l.Reason)
			require.Equal(s, 1, l.Attempts)
			texts[l.Error]++
		}
		require.Equal(s, map[string]int{"not today": 2, "not today\nrejected": 1, "rejected": 1}, texts)
		stop()
		s.close()
	})
}

// TestLateAck: an event that is acknowledged after it was given up is not tried
// again.
func TestLateAck(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		runs := 0
		stop := s.listen(func(_ context.Context, _ expiration, d listener.Delivery) error {
			runs++
			if runs == 1 {
				time.AfterFunc(6500*time.Millisecond, func() { require.NoError(s, d.Ack()) })
				time.Sleep(time.Second) // so that it has come again when it is given up, 6 s after it came
			}
			return nil
		}, listener.ManualAck(), listener.Backoff(2*time.Second, 2*time.Second))
		s.publish("o1")
		time.Sleep(time.Minute)
		stop()
		require.Equal(s, 1, runs)
		require.Zero(s, s.open())
		s.close()
	})
}

// TestStoredTwice: an event with an ID of its own that the broker has twice is
// handled once.
func TestStoredTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, memory.New(memory.JetStream()))
		runs := 0
		stop := s.listen(func(context.Context, expiration, listener.Delivery) error { runs++; return nil })
		s.publish("o1")
		synctest.Wait()
		stored := s.broker.Stored("expiration:complete")[0]
		raw, err := publisher.NewRaw(s.client)
		require.NoError(t, err)
		// Another message ID, as after the window of deduplication.
		require.NoError(t, raw.Publish(t.Context(), publisher.Message{Subject: events.ExpirationComplete{}.Subject(), Header: stored.Header, Data: stored.Data}))
		time.Sleep(time.Minute)
		require.Equal(t, 1, runs)
		stop()
		require.Len(t, s.broker.Stored("expiration:complete"), 2)
		require.Zero(t, s.open())
		s.close()
	})
}
