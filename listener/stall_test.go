package listener_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/publisher"
)

// hanging is what hangs in a test until it is released.
type hanging struct {
	release chan struct{}
	once    sync.Once
}

func newHanging() *hanging { return &hanging{release: make(chan struct{})} }

func (h *hanging) hang() { <-h.release }

func (h *hanging) end() { h.once.Do(func() { close(h.release) }) }

// handler hangs for the events whose order begins with "hang", whatever its context says.
func (h *hanging) handler(handled chan<- string) listener.Handler[expiration] {
	return func(_ context.Context, e expiration, _ listener.Delivery) error {
		if strings.HasPrefix(e.OrderID, "hang") {
			h.hang()
		}
		if handled != nil {
			handled <- e.OrderID
		}
		return nil
	}
}

const (
	stalledText = "no handler of expiration:complete (queue group payments) returns, though events wait"
	hungText    = "handler has not returned for long"
)

func (s *bed) requireStalled(why string) client.Reason {
	s.Helper()
	status := s.client.Status()
	require.Equal(s, client.Degraded, status.State, why)
	require.Len(s, status.Reasons, 1)
	require.Equal(s, stalledText, status.Reasons[0].Text)
	require.NoError(s, s.client.Healthy(s.Context()), "it is no reason to restart")
	return status.Reasons[0]
}

func (s *bed) requireWell(why string) {
	s.Helper()
	require.Equal(s, client.Connected, s.client.Status().State, why)
}

// TestHungHandler: the client is degraded while no handler returns and events wait, and well
// again when one has returned. The log repeats it at growing intervals.
func TestHungHandler(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		h, handled := newHanging(), make(chan string, 10)
		stop := s.listen(h.handler(handled))
		s.publish("good", "hang", "behind")
		time.Sleep(299 * time.Second)
		s.requireWell("for 5 minutes")
		require.NotContains(s, s.log.String(), hungText)
		time.Sleep(2 * time.Second)
		reason := s.requireStalled("for more than 5 minutes")
		require.ErrorContains(s, reason.Err, "(sequence 2 for 5m0s), and 1 event waits here: ")
		require.ErrorContains(s, reason.Err, "raise StallTimeout (5m0s)")
		require.Contains(s, s.log.String(), hungText)
		require.Contains(s, s.log.String(), "sequence=2 attempt=1 running=5m0s")
		time.Sleep(24 * time.Hour)
		require.Equal(s, 1, strings.Count(s.log.String(), "degraded: the connection works"), "it is told once")
		lines := strings.Count(s.log.String(), hungText)
		require.Greater(s, lines, 20, "at least every hour")
		require.Less(s, lines, 30)
		for _, running := range []string{"10m0s", "20m0s", "40m0s"} {
			require.Contains(s, s.log.String(), "sequence=2 attempt=1 running="+running)
		}
		require.ErrorContains(s, s.requireStalled("still").Err, "(sequence 2 for 2")
		h.end()
		time.Sleep(10 * time.Second)
		s.requireWell("it has returned")
		require.Len(s, handled, 3)
		require.Equal(s, 1, strings.Count(s.log.String(), "msg=recovered"))
		stop()
		s.close()
	})
}

// TestHungHandlerAlone is logged, but the client is degraded only once an event waits.
func TestHungHandlerAlone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		h := newHanging()
		stop := s.listen(h.handler(nil))
		s.publish("hang")
		time.Sleep(63 * time.Minute)
		require.Contains(s, s.log.String(), hungText)
		s.requireWell("nothing waits")
		s.publish("behind")
		time.Sleep(299 * time.Second)
		s.requireWell("it does not wait for long")
		time.Sleep(2 * time.Second)
		s.requireStalled("for more than 5 minutes")
		h.end()
		stop()
		s.close()
	})
}

// TestHungHandlersHaveAllPlaces: what the server holds back waits, too. Over JetStream the
// listener asks whether there is anything.
func TestHungHandlersHaveAllPlaces(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		h := newHanging()
		stop := s.listen(h.handler(nil), listener.Concurrency(2), listener.MaxInFlight(2))
		s.publish("hang1", "hang2")
		time.Sleep(time.Hour)
		if s.gives() {
			s.requireWell("nothing waits at the server")
			s.publish("behind")
			time.Sleep(11 * time.Minute)
			require.ErrorContains(s, s.requireStalled("it waits there").Err, "and 1 event waits at the server")
		} else {
			require.ErrorContains(s, s.requireStalled("nobody can say").Err, "and others may wait at the server")
		}
		h.end()
		time.Sleep(time.Second)
		s.requireWell("they have returned")
		stop()
		s.close()
	})
}

// TestHungHandlersBesideOneThatWorks: others return, so that the listener is not stalled. The
// log tells of each that hangs.
func TestHungHandlersBesideOneThatWorks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		h, handled := newHanging(), make(chan string, 1000)
		stop := s.listen(h.handler(handled), listener.Concurrency(4), listener.StallTimeout(2*time.Minute))
		s.publish("hang1", "hang2", "hang3")
		for range 30 {
			s.publish("a", "b")
			time.Sleep(time.Minute)
			s.requireWell("one works")
		}
		require.Len(s, handled, 60)
		for _, sequence := range []string{"sequence=1 ", "sequence=2 ", "sequence=3 "} {
			require.Contains(s, s.log.String(), sequence)
		}
		require.Equal(s, 12, strings.Count(s.log.String(), hungText), "each after 2, 4, 8 and 16 minutes")
		s.publish("hang4", "a")
		time.Sleep(3 * time.Minute)
		require.ErrorContains(s, s.requireStalled("all hang").Err, "4 events are with handlers that have not returned")
		h.end()
		stop()
		s.requireWell("it has ended")
		s.close()
	})
}

// TestHungKey: what waits behind an event of its key waits, though workers are free.
func TestHungKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		h := newHanging()
		stop := s.listen(h.handler(nil), listener.Concurrency(4),
			listener.OrderingKey(func(e expiration) string { return e.OrderID[:1] }))
		s.publish("hang", "hang too")
		time.Sleep(301 * time.Second)
		require.ErrorContains(s, s.requireStalled("one waits for the other").Err, "1 event waits here")
		h.end()
		stop()
		s.close()
	})
}

// hangingCodec hangs in Decode.
type hangingCodec struct {
	codec.JSON
	h *hanging
}

func (c hangingCodec) Decode(data []byte, v any) error {
	c.h.hang()
	return c.JSON.Decode(data, v)
}

// TestWhatElseHangs counts as its handler, or lets nothing else in.
func TestWhatElseHangs(t *testing.T) {
	t.Parallel()
	well := func(context.Context, expiration, listener.Delivery) error { return nil }
	key := func(expiration) string { return "" }
	for name, options := range map[string]func(h *hanging) []listener.Option{
		"decode": func(h *hanging) []listener.Option { return []listener.Option{listener.Codec(hangingCodec{h: h})} },
		"decode for the key": func(h *hanging) []listener.Option {
			return []listener.Option{listener.Codec(hangingCodec{h: h}), listener.Concurrency(2), listener.OrderingKey(key)}
		},
		"the key": func(h *hanging) []listener.Option {
			return []listener.Option{listener.Concurrency(2), listener.OrderingKey(func(expiration) string { h.hang(); return "" })}
		},
		"middleware": func(h *hanging) []listener.Option {
			return []listener.Option{listener.Use(func(next listener.Invocation) listener.Invocation {
				return func(ctx context.Context, e events.Event, d listener.Delivery) error {
					h.hang()
					return next(ctx, e, d)
				}
			})}
		},
		"an observer of deliveries": func(h *hanging) []listener.Option {
			return []listener.Option{listener.Observe(observe.Func(func(o observe.Observation) {
				if o.Kind == observe.Delivered {
					h.hang()
				}
			}))}
		},
		"an observer of returns": func(h *hanging) []listener.Option {
			return []listener.Option{listener.Observe(observe.Func(func(o observe.Observation) {
				if o.Kind == observe.Returned {
					h.hang()
				}
			}))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				h := newHanging()
				stop := s.listen(well, options(h)...)
				s.publish("a", "b", "c")
				time.Sleep(301 * time.Second)
				require.ErrorContains(s, s.requireStalled("nothing gets on").Err, "sequence 1 for 5m")
				require.Contains(s, s.log.String(), "sequence=1 attempt=")
				h.end()
				time.Sleep(time.Minute)
				s.requireWell("it has returned")
				stop()
				s.close()
			})
		})
	}
}

// TestHungRawListener is as any other.
func TestHungRawListener(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		h := newHanging()
		l, err := listener.NewRaw(s.client, expiration{}.Subject(), "payments",
			func(context.Context, []byte, listener.Delivery) error { h.hang(); return nil }, listener.StallTimeout(time.Minute))
		require.NoError(s, err)
		ctx, cancel := context.WithCancel(s.Context())
		ended := make(chan error, 1)
		ready := l.Ready()
		go func() { ended <- l.Listen(ctx) }()
		<-ready
		s.publish("a", "b")
		time.Sleep(61 * time.Second)
		s.requireStalled("for more than a minute")
		h.end()
		cancel()
		require.NoError(s, <-ended)
		s.close()
	})
}

// TestUnsettledEventsHaveAllPlaces: with ManualAck handlers return, and nobody settles their
// events.
func TestUnsettledEventsHaveAllPlaces(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		open := make(chan listener.Delivery, 10)
		stop := s.listen(func(_ context.Context, _ expiration, d listener.Delivery) error { open <- d; return nil },
			listener.ManualAck(), listener.MaxInFlight(2), listener.AckWait(time.Hour), listener.StallTimeout(time.Minute))
		s.publish("a", "b", "c")
		time.Sleep(3 * time.Minute)
		require.ErrorContains(s, s.requireStalled("c waits at the server").Err, "2 events are with handlers that have not returned")
		for range 3 {
			require.NoError(s, (<-open).Ack())
			time.Sleep(time.Second)
			s.requireWell("one was settled")
		}
		stop()
		s.close()
	})
}

// TestDefaultStallTimeout fits long ack waits and handlers that may take long.
func TestDefaultStallTimeout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opt  listener.Option
		well time.Duration
	}{
		"ack wait":        {listener.AckWait(10 * time.Minute), 30 * time.Minute},
		"handler timeout": {listener.HandlerTimeout(20 * time.Minute), 21 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				opts, well := []listener.Option{test.opt}, test.well
				if name == "handler timeout" && !s.gives() {
					opts = append(opts, listener.AckWait(21*time.Minute))
					well = 63 * time.Minute
				}
				h := newHanging()
				stop := s.listen(h.handler(nil), opts...)
				s.publish("hang", "behind")
				time.Sleep(well - time.Second)
				s.requireWell("not for that long")
				time.Sleep(2 * time.Second)
				s.requireStalled("for longer")
				h.end()
				stop()
				s.close()
			})
		})
	}
}

// TestListenThatEndsWhileStalled takes it back.
func TestListenThatEndsWhileStalled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		h := newHanging()
		l, err := listener.New(s.client, "payments", h.handler(nil), listener.DrainTimeout(time.Second))
		require.NoError(s, err)
		ctx, cancel := context.WithCancel(s.Context())
		ended := make(chan error, 1)
		ready := l.Ready()
		go func() { ended <- l.Listen(ctx) }()
		<-ready
		s.publish("hang", "behind")
		time.Sleep(time.Hour)
		s.requireStalled("for an hour")
		cancel()
		require.ErrorIs(s, <-ended, listener.ErrUnfinished)
		s.requireWell("nobody listens")
		require.NotContains(s, s.log.String(), "msg=recovered")
		h.end()
		s.close()
	})
}

// TestIdleListenerIsNotStalled: the last return was long ago, and the next handler has just
// begun when another event comes.
func TestIdleListenerIsNotStalled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		stop := s.listen(func(context.Context, expiration, listener.Delivery) error {
			time.Sleep(4 * time.Second)
			return nil
		}, listener.StallTimeout(5*time.Second), listener.Concurrency(2))
		for range 20 {
			p, err := publisher.New[expiration](s.client)
			require.NoError(s, err)
			for range 5 {
				require.NoError(s, p.Publish(s.Context(), expiration{OrderID: "o"}))
			}
			for range 61 {
				time.Sleep(time.Second)
				s.requireWell("handlers return")
			}
		}
		require.NotContains(s, s.log.String(), hungText)
		stop()
		s.close()
	})
}

func TestStallTimeoutMustBePositive(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		_, err := listener.New(s.client, "g", newHanging().handler(nil), listener.StallTimeout(0))
		require.ErrorIs(s, err, client.ErrInvalid)
		require.ErrorContains(s, err, "option StallTimeout: 0s; must be positive")
		s.close()
	})
}

// TestHungMemberOfAGroup: over NATS Streaming what waits behind its handler goes to the other
// member, and the one that hangs does not collect it without end.
func TestHungMemberOfAGroup(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		if s.gives() {
			return
		}
		h, handled := newHanging(), make(chan string, 10_000)
		var late atomic.Int64
		stop := s.listen(h.handler(handled), listener.Observe(observe.Func(func(o observe.Observation) {
			if o.Kind == observe.Skipped && o.Reason == observe.SkipLate {
				late.Add(1)
			}
		})))
		s.publish("hang")
		stopOther := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
			handled <- e.OrderID
			return nil
		})
		for range 1000 {
			s.publish("a", "b")
			time.Sleep(time.Second)
		}
		require.ErrorContains(s, s.requireStalled("events wait there, each for an ack wait").Err, "(sequence 1 for 10m0s)", "as was logged last")
		require.Greater(s, len(handled), 1990)
		require.Greater(s, late.Load(), int64(500))
		require.Contains(s, s.log.String(), "events that waited for a handler have gone to other members")
		require.NotContains(s, s.log.String(), "event skipped: its ack wait expired")
		h.end()
		time.Sleep(time.Minute)
		s.requireWell("it has returned")
		stop()
		stopOther()
		s.close()
	})
}
