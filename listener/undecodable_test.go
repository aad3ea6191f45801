package listener_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// publishBad stores payloads that are no events.
func (s *bed) publishBad(n int) {
	s.Helper()
	p, err := publisher.NewRaw(s.client)
	require.NoError(s, err)
	for i := range n {
		require.NoError(s, p.Publish(s.Context(), publisher.Message{Subject: expiration{}.Subject(), Data: []byte("no event " + strconv.Itoa(i))}))
	}
}

// listenUntilEnd begins to listen. The channel gets what Listen returns.
func (s *bed) listenUntilEnd(h listener.Handler[expiration], opts ...listener.Option) (ended chan error, stop func()) {
	s.Helper()
	l, err := listener.New(s.client, "payments", h, opts...)
	require.NoError(s, err)
	ctx, cancel := context.WithCancel(s.Context())
	returned := make(chan error, 1)
	ready := l.Ready()
	go func() { returned <- l.Listen(ctx) }()
	<-ready
	return returned, cancel
}

func handles(context.Context, expiration, listener.Delivery) error { return nil }

const undecodableText = "events of expiration:complete (queue group payments) can't be decoded"

// keyOptions are without and with an ordering key, for which events are decoded when they come.
func keyOptions() map[string][]listener.Option {
	return map[string][]listener.Option{
		"one after another": nil,
		"side by side":      {listener.Concurrency(16)},
		"with a key":        {listener.Concurrency(16), listener.OrderingKey(func(e expiration) string { return e.OrderID })},
	}
}

// TestUndecodableInARow: after 16 the client is degraded, until one can be decoded.
func TestUndecodableInARow(t *testing.T) {
	t.Parallel()
	for name, opts := range keyOptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				stop := s.listen(handles, opts...)
				s.publishBad(15)
				time.Sleep(time.Minute)
				s.requireWell("15 in a row")
				s.publish("good")
				time.Sleep(time.Minute)
				s.publishBad(15)
				time.Sleep(time.Minute)
				s.requireWell("a good one came between")
				s.publishBad(1)
				time.Sleep(time.Minute)
				status := s.client.Status()
				require.Equal(s, client.Degraded, status.State)
				require.Equal(s, undecodableText, status.Reasons[0].Text)
				require.ErrorIs(s, status.Reasons[0].Err, listener.ErrUndecodable)
				require.ErrorContains(s, status.Reasons[0].Err, "16 events in a row, the last with sequence 32: undecodable: ")
				require.ErrorContains(s, status.Reasons[0].Err, "deadletter.Redrive")
				require.NoError(s, s.client.Healthy(s.Context()))
				s.publishBad(4)
				time.Sleep(time.Minute)
				require.ErrorContains(s, s.client.Status().Reasons[0].Err, "20 events in a row")
				require.Equal(s, 1, strings.Count(s.log.String(), "degraded: the connection works"), "it is told once")
				s.publish("good")
				time.Sleep(time.Minute)
				s.requireWell("one can be decoded")
				require.Equal(s, 1, strings.Count(s.log.String(), "msg=recovered"))
				require.Len(s, s.letters(), 35)
				stop()
				s.close()
			})
		})
	}
}

// TestUndecodableThatComesAgain counts once.
func TestUndecodableThatComesAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		stop := s.listen(handles, listener.NoDeadLetters())
		s.publishBad(2)
		time.Sleep(time.Hour)
		s.requireWell("two came again and again")
		require.Empty(s, s.letters())
		stop()
		s.close()
	})
}

// picky is an expiration whose Validate refuses some.
type picky struct{ expiration }

func (p picky) Validate() error {
	if p.OrderID == "bad" {
		return errors.New("bad order")
	}
	return nil
}

// TestInvalidInARow counts like undecodable.
func TestInvalidInARow(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		l, err := listener.New(s.client, "payments", func(context.Context, picky, listener.Delivery) error { return nil },
			listener.Validate(), listener.StopAfterUndecodable(18))
		require.NoError(s, err)
		ended := make(chan error, 1)
		ready := l.Ready()
		go func() { ended <- l.Listen(s.Context()) }()
		<-ready
		for range 17 {
			s.publish("bad")
		}
		time.Sleep(time.Minute)
		status := s.client.Status()
		require.Equal(s, client.Degraded, status.State)
		require.ErrorContains(s, status.Reasons[0].Err, "bad order")
		s.publishBad(1)
		err = <-ended
		require.ErrorIs(s, err, listener.ErrTooManyUndecodable)
		require.ErrorIs(s, err, listener.ErrUndecodable)
		s.requireWell("it has ended")
		require.NotContains(s, s.log.String(), "msg=recovered")
		require.Len(s, s.letters(), 17)
		s.close()
	})
}

// TestStopAfterUndecodable: Listen ends at the n-th, and that and what comes after it is not
// made a dead letter. A listener that can decode them handles them.
func TestStopAfterUndecodable(t *testing.T) {
	t.Parallel()
	for name, opts := range keyOptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				var handled atomic.Int64
				ended, stop := s.listenUntilEnd(func(context.Context, expiration, listener.Delivery) error { handled.Add(1); return nil },
					append(opts, listener.StopAfterUndecodable(16))...)
				defer stop()
				s.publish("good")
				s.publishBad(10)
				time.Sleep(time.Minute) // side by side, a good one could be counted before the bad ones
				s.publish("good")
				time.Sleep(time.Minute)
				s.publishBad(100)
				err := <-ended
				require.ErrorIs(s, err, listener.ErrTooManyUndecodable)
				require.ErrorIs(s, err, listener.ErrUndecodable)
				require.NotErrorIs(s, err, listener.ErrUnfinished)
				require.ErrorContains(s, err, "listen to expiration:complete as payments: too many undecodable events in a row (16; option StopAfterUndecodable), "+
					"the last with sequence ")
				if opts == nil { // side by side any of them may be the last
					require.ErrorContains(s, err, "sequence 28: ")
				}
				require.EqualValues(s, 2, handled.Load())
				require.Equal(s, 1, strings.Count(s.log.String(), "Listen ends before more become dead letters"))
				time.Sleep(time.Hour)
				letters := s.letters()
				require.Len(s, letters, 25)
				s.requireWell("it has ended")

				var raw atomic.Int64
				mended, err := listener.NewRaw(s.client, expiration{}.Subject(), "payments",
					func(context.Context, []byte, listener.Delivery) error { raw.Add(1); return nil })
				require.NoError(s, err)
				ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
				defer cancel()
				require.NoError(s, mended.Listen(ctx))
				require.EqualValues(s, 85, raw.Load())
				s.close()
			})
		})
	}
}

// TestStopAtTheFirstUndecodable, without dead letters, and again.
func TestStopAtTheFirstUndecodable(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		for _, opts := range [][]listener.Option{nil, {listener.NoDeadLetters()}} {
			ended, stop := s.listenUntilEnd(handles, append(opts, listener.StopAfterUndecodable(1))...)
			s.publishBad(1)
			require.ErrorIs(s, <-ended, listener.ErrTooManyUndecodable)
			stop()
		}
		require.Empty(s, s.letters())
		_, err := listener.New(s.client, "g", handles, listener.StopAfterUndecodable(0))
		require.ErrorIs(s, err, client.ErrInvalid)
		require.ErrorContains(s, err, "option StopAfterUndecodable: 0; must be at least 1")
		s.close()
	})
}

// TestStopEndsTheOthers: listener.Run, as client.Run does, ends with the error.
func TestStopEndsTheOthers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		l, err := listener.New(s.client, "payments", handles, listener.StopAfterUndecodable(1))
		require.NoError(s, err)
		other, err := listener.New(s.client, "others", handles, listener.Codec(anything{}))
		require.NoError(s, err)
		s.publishBad(1)
		require.ErrorIs(s, listener.Run(s.Context(), l, other), listener.ErrTooManyUndecodable)
		s.close()
	})
}

// anything decodes whatever comes.
type anything struct{ codec.JSON }

func (anything) Decode([]byte, any) error { return nil }

// watchAll collects what a watcher is told.
func (s *bed) watchAll() func() []client.Event {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	var all []client.Event
	done := make(chan struct{})
	seq := s.client.Watch(ctx)
	go func() {
		defer close(done)
		for e := range seq {
			all = append(all, e)
		}
	}()
	return func() []client.Event { cancel(); <-done; return all }
}

// TestWatchTellsOfDeadLetters, and of what can't be decoded, each by itself.
func TestWatchTellsOfDeadLetters(t *testing.T) {
	t.Parallel()
	for name, opts := range keyOptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(s *bed) {
				watched := s.watchAll()
				stop := s.listen(func(_ context.Context, e expiration, _ listener.Delivery) error {
					switch e.OrderID {
					case "reject":
						return listener.Reject(errNotToday)
					case "fail":
						return errNotToday
					}
					return nil
				}, append(opts, listener.MaxAttempts(2))...)
				s.publish("good", "reject", "fail")
				s.publishBad(1)
				time.Sleep(time.Hour)
				stop()
				told := make(map[uint64][]client.Event)
				for _, e := range watched() {
					require.Contains(s, []client.EventKind{client.EventDeadLettered, client.EventUndecodable}, e.Kind)
					require.Equal(s, "expiration:complete (queue group payments)", e.Listener)
					require.Equal(s, expiration{}.Subject(), e.Subject)
					require.Equal(s, "payments", e.Group)
					require.Equal(s, 1, e.Count)
					require.False(s, e.Time.IsZero())
					told[e.Sequence] = append(told[e.Sequence], e)
				}
				require.Len(s, told, 3)
				for sequence, reason := range map[uint64]events.DeadLetterReason{2: events.DeadLetterRejected, 3: events.DeadLetterExhausted} {
					require.Len(s, told[sequence], 1)
					require.Equal(s, client.EventDeadLettered, told[sequence][0].Kind)
					require.EqualValues(s, reason, told[sequence][0].Reason)
					require.ErrorIs(s, told[sequence][0].Err, errNotToday)
				}
				require.Len(s, told[4], 2)
				for i, kind := range []client.EventKind{client.EventUndecodable, client.EventDeadLettered} {
					require.Equal(s, kind, told[4][i].Kind)
					require.EqualValues(s, events.DeadLetterUndecodable, told[4][i].Reason)
					require.ErrorIs(s, told[4][i].Err, listener.ErrUndecodable)
				}
				s.close()
			})
		})
	}
}

// TestWatchTellsOfUndecodablesOnce where they make no dead letters, and come again.
func TestWatchTellsOfUndecodablesOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		watched := s.watchAll()
		stop := s.listen(handles, listener.NoDeadLetters())
		s.publishBad(2)
		time.Sleep(time.Hour)
		stop()
		all := watched()
		require.Len(s, all, 2)
		for _, e := range all {
			require.Equal(s, client.EventUndecodable, e.Kind)
			require.ErrorIs(s, e.Err, listener.ErrUndecodable)
		}
		s.close()
	})
}

// TestWatchCountsAFlood: a watcher that takes nothing meanwhile can still count, and gets what
// else happened.
func TestWatchCountsAFlood(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		ctx, cancel := context.WithCancel(s.Context())
		seq := s.client.Watch(ctx)
		stop := s.listen(handles)
		s.publishBad(5000)
		time.Sleep(time.Hour)
		stop()
		time.AfterFunc(time.Second, cancel)
		counts := make(map[client.EventKind]int)
		n := 0
		for e := range seq {
			require.Zero(s, e.Missed)
			n++
			counts[e.Kind] += max(e.Count, 1)
		}
		require.Equal(s, map[client.EventKind]int{
			client.EventDeadLettered: 5000, client.EventUndecodable: 5000, client.EventDegraded: 1, client.EventRecovered: 1,
		}, counts)
		require.LessOrEqual(s, n, 64)
		s.close()
	})
}
