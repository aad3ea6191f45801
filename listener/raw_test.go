package listener_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/access"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
	"github.com/sgtickets/common/transport/memory"
)

// store publishes bytes to a subject.
func (s *bed) store(subject subjects.Subject, header transport.Header, payload string) {
	s.Helper()
	require.NoError(s, access.Session(s.client).Publish(s.Context(), transport.Message{Subject: string(subject), Header: header, Data: []byte(payload)}))
}

// received is what a raw handler got.
type received struct {
	mu  sync.Mutex
	all []listener.Delivery
	got []string // subject and payload
}

func (r *received) handle(_ context.Context, payload []byte, d listener.Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, d)
	r.got = append(r.got, fmt.Sprintf("%s %s", d.Subject, payload))
	return nil
}

func (r *received) payloads() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// raw listens to a subject until the test ends.
func (s *bed) raw(subject subjects.Subject, group string, h listener.RawHandler, opts ...listener.Option) (stop func()) {
	s.Helper()
	l, err := listener.NewRaw(s.client, subject, group, h, opts...)
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

// TestRawHandsOverBytes: durable in a group, alone and ephemeral, and at a position.
func TestRawHandsOverBytes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		for n := range 3 {
			s.store("anything", nil, "{"+strconv.Itoa(n))
		}
		var inGroup, alone, last, fromTwo received
		for _, stop := range []func(){
			s.raw("anything", "tools", inGroup.handle), s.raw("anything", "", alone.handle, listener.Ephemeral()),
			s.raw("anything", "", last.handle, listener.StartAt(listener.LastReceived)), s.raw("anything", "", fromTwo.handle, listener.StartAt(listener.Sequence(2))),
		} {
			synctest.Wait()
			stop()
		}
		require.Equal(s, []string{"anything {0", "anything {1", "anything {2"}, inGroup.payloads())
		require.Equal(s, inGroup.payloads(), alone.payloads())
		require.Equal(s, inGroup.payloads()[2:], last.payloads())
		require.Equal(s, inGroup.payloads()[1:], fromTwo.payloads())
		require.Equal(s, 1, inGroup.all[0].Attempt)
		require.Equal(s, "tools", inGroup.all[0].Group)

		s.store("anything", nil, "later")
		stop := s.raw("anything", "tools", inGroup.handle)
		synctest.Wait()
		stop()
		require.Equal(s, "anything later", inGroup.payloads()[3], "what the durable stood at")
		l, err := listener.NewRaw(s.client, "anything", "tools", inGroup.handle)
		require.NoError(s, err)
		require.NoError(s, l.DeleteDurable(s.Context()))
		s.close()
	})
}

// TestRawPattern: each message has its own subject, and so has its dead letter.
func TestRawPattern(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, memory.New(memory.JetStream()))
		s.store("orders.de", transport.Header{"X-Team": {"a"}}, "one")
		s.store("orders.fr", nil, "two")
		s.store("tickets", nil, "three")
		var got received
		stop := s.raw("orders.*", "tools", func(ctx context.Context, payload []byte, d listener.Delivery) error {
			_ = got.handle(ctx, payload, d)
			if string(payload) == "two" {
				return listener.Reject(errors.New("not today"))
			}
			return nil
		})
		synctest.Wait()
		stop()
		require.ElementsMatch(t, []string{"orders.de one", "orders.fr two"}, got.payloads())
		for _, d := range got.all {
			require.Equal(t, d.Subject == "orders.de", len(d.Header["X-Team"]) == 1, "%v", d)
		}

		var letters received
		stop = s.raw(events.DeadLetterSubject("tools", "orders.fr"), "", letters.handle)
		synctest.Wait()
		stop()
		require.Len(t, letters.payloads(), 1)
		s.close()
	})
}

// TestRawRetriesAndDrains as a typed listener does.
func TestRawRetriesAndDrains(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		s.store("anything", nil, "x")
		began, attempts := time.Now(), []int{}
		stop := s.raw("anything", "tools", func(_ context.Context, _ []byte, d listener.Delivery) error {
			attempts = append(attempts, d.Attempt)
			if d.Attempt < 3 {
				return listener.RetryAfter(2*time.Second, errors.New("not today"))
			}
			time.Sleep(time.Second)
			return nil
		})
		time.Sleep(4500 * time.Millisecond)
		stop()
		require.Equal(s, []int{1, 2, 3}, attempts)
		require.Equal(s, 5*time.Second, time.Since(began), "the handler that ran was waited for")
		s.close()
	})
}

// TestRawWithManualAck: a tool holds many events open at a time with one worker, gives
// back what it leaves alone, and no warning tells of that.
func TestRawWithManualAck(t *testing.T) {
	t.Parallel()
	onBoth(t, func(s *bed) {
		const n = 50
		for i := range n {
			s.store("anything", nil, strconv.Itoa(i))
		}
		var got received
		stop := s.raw("anything", "tools", got.handle, listener.ManualAck(), listener.MaxInFlight(n+1), listener.NoDeadLetters(), listener.WithoutDefaults())
		synctest.Wait()
		require.Len(s, got.payloads(), n)
		for i, d := range got.all {
			if i%2 == 0 {
				require.NoError(s, d.Ack())
			} else {
				require.NoError(s, d.Nak(listener.RetryAfter(time.Minute, nil)))
			}
		}
		synctest.Wait()
		stop()
		require.NotContains(s, s.log.String(), "WARN")
		require.NotContains(s, s.log.String(), "degraded")
		s.close()
	})
}

func TestRawRefuses(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{}
	c, _ := build(t, conn)
	handler := func(context.Context, []byte, listener.Delivery) error { return nil }
	for text, try := range map[string]func() (*listener.Raw, error){
		"client: nil":       func() (*listener.Raw, error) { return listener.NewRaw(nil, "a", "g", handler) },
		"handler: nil":      func() (*listener.Raw, error) { return listener.NewRaw(c, "a", "g", nil) },
		"the name is empty": func() (*listener.Raw, error) { return listener.NewRaw(c, "", "g", handler) },
		"queue group":       func() (*listener.Raw, error) { return listener.NewRaw(c, "a", "g:", handler) },
		"option: nil":       func() (*listener.Raw, error) { return listener.NewRaw(c, "a", "g", handler, nil) },
		"option Codec": func() (*listener.Raw, error) {
			return listener.NewRaw(c, "a", "g", handler, listener.Codec(codec.JSON{}))
		},
		"option Validate": func() (*listener.Raw, error) { return listener.NewRaw(c, "a", "g", handler, listener.Validate()) },
		"option Use": func() (*listener.Raw, error) {
			return listener.NewRaw(c, "a", "g", handler, listener.Use(func(next listener.Invocation) listener.Invocation { return next }))
		},
		"option InVersionOrder": func() (*listener.Raw, error) {
			return listener.NewRaw(c, "a", "g", handler, listener.InVersionOrder(listener.NewMemoryVersions()))
		},
		"option Observe: nil": func() (*listener.Raw, error) { return listener.NewRaw(c, "a", "g", handler, listener.Observe(nil)) },
		"option OrderingKey: a r": func() (*listener.Raw, error) {
			return listener.NewRaw(c, "a", "g", handler, listener.Concurrency(2), listener.OrderingKey(func(e expiration) string { return e.OrderID }))
		},
	} {
		_, err := try()
		require.ErrorIs(t, err, client.ErrInvalid, text)
		require.ErrorContains(t, err, text)
	}
	_, err := listener.NewRaw(c, "a.*", "g", handler)
	require.ErrorIs(t, err, transport.ErrUnsupported)
	require.ErrorContains(t, err, "make a listener for each subject")

	for _, l := range []*listener.Raw{nil, {}} {
		require.ErrorIs(t, l.Listen(t.Context()), client.ErrInvalid)
		require.ErrorIs(t, l.DeleteDurable(t.Context()), client.ErrInvalid)
		require.Nil(t, l.Ready())
	}
}

// TestRawPassesOverDefaults that need a type, and keeps the others; a tool may refuse
// them all.
func TestRawPassesOverDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, memory.New(memory.NATSStreaming()), listener.Defaults(
			listener.Use(func(listener.Invocation) listener.Invocation {
				return func(context.Context, events.Event, listener.Delivery) error { return errors.New("called") }
			}), listener.Validate(), listener.Ephemeral(), listener.Concurrency(2),
			listener.OrderingKey(func(e expiration) string { return e.OrderID })))
		s.store("anything", nil, "{")
		var got received
		stop := s.raw("anything", "tools", got.handle)
		synctest.Wait()
		stop()
		require.Equal(t, []string{"anything {"}, got.payloads())

		l, err := listener.NewRaw(s.client, "anything", "tools", got.handle)
		require.NoError(t, err)
		require.ErrorContains(t, l.DeleteDurable(t.Context()), "no durable", "it is ephemeral by default")
		l, err = listener.NewRaw(s.client, "anything", "tools", got.handle, listener.WithoutDefaults())
		require.NoError(t, err)
		require.NoError(t, l.DeleteDurable(t.Context()))
		s.close()
	})
}
