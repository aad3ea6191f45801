package listener_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
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
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/transport"
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
		append(opts, client.Transport(broker.Dialer()), client.Logger(slog.New(slog.NewTextHandler(s.log, nil))))...)
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
func (s *bed) gives() bool { return s.client.Session().Conn.Features().Nak }

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

// TestDeadLetterComesFirst: as long as it can't be stored, the event stays
// unacknowledged, without being run again, and the client is degraded.
func TestDeadLetterComesFirst(t *testing.T) {
	t.Parallel()
	for _, outcome := range []error{
		errors.Join(transport.ErrNotStored, errors.New("too many channels")), transport.ErrOutcomeUnknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := &fakeconn.Conn{}
			conn.OnPublish = func(_ transport.Message, r transport.Receipt) {
				if len(conn.Published()) < 3 {
					r.Settle(outcome)
					return
				}
				time.AfterFunc(time.Second, func() { r.Settle(nil) })
			}
			runs := 0
			b := listenOn(t, conn, func(context.Context, expiration, listener.Delivery) error {
				runs++
				return listener.Reject(errNotToday)
			})
			one := b.deliver(1)
			synctest.Wait()
			status := b.client.Status()
			require.Equal(t, client.Degraded, status.State)
			require.Contains(t, status.Reasons[0].Text, "dead letters of expiration:complete (queue group expirations) can't be stored")
			if errors.Is(outcome, transport.ErrNotStored) {
				require.ErrorContains(t, status.Reasons[0].Err, "raise the server's limit (-mc, --max_channels)")
			}
			for len(conn.Published()) < 3 {
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(800 * time.Millisecond)
			require.Zero(t, one.Acks(), "not before it is stored")
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, 1, one.Acks())
			require.Equal(t, client.Connected, b.client.Status().State)
			require.Equal(t, 1, runs)
			require.Equal(t, conn.Published()[0].Data, conn.Published()[2].Data, "the same dead letter, so that doubles are recognised")
			b.stop()
			require.NoError(t, <-b.ended)
		})
	}
}

// TestDeadLetterTooLarge leaves the event's data out: it stays in its channel.
func TestDeadLetterTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, memory.New(memory.MaxPayload(1000)))
		stop := s.listen(func(context.Context, expiration, listener.Delivery) error { return listener.Reject(errNotToday) })
		order := fmt.Sprintf("%0900d", 1)
		s.publish(order)
		synctest.Wait()
		letters := s.letters()
		require.Len(t, letters, 1)
		require.True(t, letters[0].Truncated)
		require.Equal(t, uint64(1), letters[0].Sequence)
		stop()
		s.close()
	})
}

// TestNoDeadLetters: what can't be handled stays unacknowledged, and the client is
// degraded while as many as MaxInFlight do.
func TestNoDeadLetters(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		var mended atomic.Bool
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			if mended.Load() {
				return nil
			}
			return listener.Reject(errNotToday)
		}, listener.NoDeadLetters(), listener.MaxInFlight(2))
		s.publish("o1")
		time.Sleep(12 * time.Second)
		require.Equal(s, client.Connected, s.client.Status().State)
		s.publish("o2")
		time.Sleep(12 * time.Second)
		status := s.client.Status()
		require.Equal(s, client.Degraded, status.State)
		require.Contains(s, status.Reasons[0].Text, "events of expiration:complete (queue group payments) are stuck")
		require.ErrorContains(s, status.Reasons[0].Err, "NoDeadLetters")
		mended.Store(true)
		time.Sleep(12 * time.Second)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Empty(s, s.letters())
		stop()
		require.Zero(s, s.open())
		s.close()
	})
}

// TestAttemptsThatTakeAllPlaces: over NATS Streaming, events that fail keep their places
// at the server until they are handled or given up. Who owns the client is told.
func TestAttemptsThatTakeAllPlaces(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		handled := make(chan string, 1)
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			if e.OrderID != "good" {
				return errNotToday
			}
			handled <- e.OrderID
			return nil
		}, listener.MaxInFlight(2))
		s.publish("bad1", "bad2", "good")
		time.Sleep(12 * time.Second)
		status := s.client.Status()
		if s.gives() { // given back, they keep no places
			require.Equal(s, client.Connected, status.State)
			require.Len(s, handled, 1)
		} else {
			require.Equal(s, client.Degraded, status.State)
			require.Contains(s, status.Reasons[0].Text, "events of expiration:complete (queue group payments) are stuck")
			require.ErrorContains(s, status.Reasons[0].Err, "set MaxAttempts to fewer")
			require.Empty(s, handled)
		}
		time.Sleep(10 * time.Minute)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Len(s, handled, 1)
		require.Len(s, s.letters(), 2)
		stop()
		s.close()
	})
}

// missing is an error whose methods do not bear that there is none, as in
// "var err *missing; return err".
type missing struct{ cause error }

func (m *missing) Error() string { return m.cause.Error() }
func (m *missing) Unwrap() error { return m.cause }

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

// TestDeadLetterAtTheEnd: one that is not stored by the end of the drain leaves nothing
// behind: the event comes again, and the client is not degraded by who is not there.
func TestDeadLetterAtTheEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		reject := func(context.Context, expiration, listener.Delivery) error { return listener.Reject(errNotToday) }
		l, err := listener.New(s.client, "payments", reject, listener.DrainTimeout(time.Second))
		require.NoError(s, err)
		ctx, stop := context.WithCancel(s.Context())
		ended := make(chan error, 1)
		s.publish("o1")
		s.broker.LoseAckOfNext() // the dead letter
		go func() { ended <- l.Listen(ctx) }()
		synctest.Wait()
		stop()
		err = <-ended
		require.ErrorIs(s, err, listener.ErrUnfinished)
		require.ErrorContains(s, err, "1 dead letters not stored")
		synctest.Wait()
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Equal(s, 1, s.open())
		s.close()
	})
}

// TestDeadLetterWithoutAnAnswer: after 10 s nobody waits for it any more; the client is
// degraded, the event stays, and its dead letter is stored once more.
func TestDeadLetterWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		runs := 0
		s.publish("o1")
		s.broker.LoseAckOfNext()
		stop := s.listen(func(context.Context, expiration, listener.Delivery) error {
			runs++
			return listener.Reject(errNotToday)
		}, listener.AckWait(30*time.Second))
		time.Sleep(9900 * time.Millisecond)
		require.Equal(s, client.Connected, s.client.Status().State)
		time.Sleep(200 * time.Millisecond)
		status := s.client.Status()
		require.Equal(s, client.Degraded, status.State)
		require.ErrorIs(s, status.Reasons[0].Err, transport.ErrOutcomeUnknown)
		time.Sleep(10 * time.Second)
		require.Equal(s, client.Connected, s.client.Status().State)
		for _, l := range s.letters() {
			require.Equal(s, s.letters()[0].ID, l.ID)
		}
		stop()
		require.Equal(s, 1, runs)
		require.Zero(s, s.open())
		s.close()
	})
}

// TestStuckKey: what waits for an event of its key that can't be handled is stuck as
// well, and the client says so when nothing else has room.
func TestStuckKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		var mended atomic.Bool
		var mu sync.Mutex
		var handled []string
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			if e.OrderID == "a1" && !mended.Load() {
				return errNotToday
			}
			mu.Lock()
			defer mu.Unlock()
			handled = append(handled, e.OrderID)
			return nil
		}, listener.NoDeadLetters(), listener.MaxAttempts(1), listener.Concurrency(2), listener.MaxInFlight(4),
			listener.OrderingKey(func(e expiration) string { return e.OrderID[:1] }))
		s.publish("a1", "a2", "a3", "b1")
		time.Sleep(time.Minute)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.Equal(s, []string{"b1"}, handled, "another key goes on")
		s.publish("a4", "b2")
		time.Sleep(time.Minute)
		status := s.client.Status()
		require.Equal(s, client.Degraded, status.State)
		require.Contains(s, status.Reasons[0].Text, "or wait for one that does")
		require.ErrorContains(s, status.Reasons[0].Err, "leave out option NoDeadLetters")
		mended.Store(true)
		time.Sleep(time.Minute)
		require.Equal(s, client.Connected, s.client.Status().State)
		require.ElementsMatch(s, []string{"b1", "b2", "a1", "a2", "a3", "a4"}, handled)
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

// TestWarnings: of a handler that uses up its ack wait where that can't be
// extended, of one that does not heed its context, of more than can begin in time.
func TestWarnings(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		const used, deaf, crowd = "handler has used 80 % of the ack wait", "handler goes on after its HandlerTimeout", "more events wait here than can begin within the ack wait"
		streaming := !s.client.Session().Conn.Features().InProgress
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			d, err := time.ParseDuration(e.OrderID)
			time.Sleep(d)
			return err
		}, listener.HandlerTimeout(2*time.Second))
		s.publish("2500ms")
		time.Sleep(10 * time.Second)
		require.NotContains(s, s.log.String(), used)
		require.NotContains(s, s.log.String(), deaf)
		s.publish("4500ms")
		time.Sleep(3100 * time.Millisecond)
		require.Contains(s, s.log.String(), deaf)
		require.NotContains(s, s.log.String(), used)
		time.Sleep(time.Second)
		if streaming {
			require.Contains(s, s.log.String(), used)
			require.Contains(s, s.log.String(), "sequence=2")
		} else {
			require.NotContains(s, s.log.String(), used)
		}
		time.Sleep(10 * time.Second)
		require.NotContains(s, s.log.String(), crowd)
		s.publish("1500ms", "1500ms", "1500ms", "1500ms", "4500ms", "1s", "1s", "1s", "1s")
		time.Sleep(time.Minute)
		require.Equal(s, streaming, strings.Contains(s.log.String(), crowd))
		stop()
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
		outcome := make(chan error, 1)
		stored.ID = "" // as after the window of deduplication
		s.client.Session().Conn.Publish(stored, transport.ReceiptFunc(func(err error) { outcome <- err }))
		require.NoError(t, <-outcome)
		time.Sleep(time.Minute)
		require.Equal(t, 1, runs)
		stop()
		require.Len(t, s.broker.Stored("expiration:complete"), 2)
		require.Zero(t, s.open())
		s.close()
	})
}

// TestOrderUnderFailures: with 16 workers and one event in twenty failing, each
// time it is tried, the events of each key are handled once, in order.
func TestOrderUnderFailures(t *testing.T) {
	t.Parallel()
	n := 10_000
	if asked, err := strconv.Atoi(os.Getenv("EVENTS")); err == nil { // make test-order
		n = asked
	}
	onBoth(t, func(s *bed) {
		const keys, failing = 100, 0.05
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(1, 2))
		last, handled := map[int]int{}, 0
		stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			number, err := strconv.Atoi(e.OrderID)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || random.Float64() < failing {
				return errNotToday
			}
			if last[number%keys] >= number {
				s.Errorf("%d was handled after %d", number, last[number%keys])
			}
			last[number%keys] = number
			handled++
			return nil
		}, listener.Concurrency(16), listener.OrderingKey(func(e expiration) string {
			number, _ := strconv.Atoi(e.OrderID)
			return strconv.Itoa(number % keys)
		}))
		for i := range n {
			s.publish(strconv.Itoa(i + 1))
		}
		for range 600 {
			time.Sleep(time.Second)
			mu.Lock()
			all := handled == n
			mu.Unlock()
			if all {
				break
			}
		}
		stop()
		require.Equal(s, n, handled)
		require.Empty(s, s.letters())
		s.close()
	})
}

// TestSettingsThatDoNotFit are refused, or warned of when the listener begins.
func TestSettingsThatDoNotFit(t *testing.T) {
	t.Parallel()
	h := func(context.Context, expiration, listener.Delivery) error { return nil }
	onBoth(t, func(s *bed) {
		streaming := !s.client.Session().Conn.Features().InProgress
		_, err := listener.New(s.client, "g", h, listener.HandlerTimeout(5*time.Second))
		if streaming {
			require.ErrorIs(s, err, client.ErrInvalid)
			require.ErrorContains(s, err, "option HandlerTimeout: 5s is not less than AckWait 5s")
		} else {
			require.NoError(s, err)
		}
		for text, opts := range map[string][]listener.Option{
			"option MaxAttempts: 0; must be at least 1":           {listener.MaxAttempts(0)},
			"option Backoff: first 0s, limit 1s":                  {listener.Backoff(0, time.Second)},
			"option Backoff: first 2s, limit 1s":                  {listener.Backoff(2*time.Second, time.Second)},
			"option Backoff: it has no effect with MaxAttempts 1": {listener.MaxAttempts(1), listener.Backoff(time.Second, time.Second)},
		} {
			_, err := listener.New(s.client, "g", h, opts...)
			require.ErrorIs(s, err, client.ErrInvalid)
			require.ErrorContains(s, err, text)
		}
		stop := s.listen(h, listener.HandlerTimeout(4450*time.Millisecond))
		stop()
		require.Equal(s, streaming, strings.Contains(s.log.String(), "no attempt after the first fits into the ack wait"))
		s.close()
	})
}
