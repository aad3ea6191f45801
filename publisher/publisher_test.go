package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/publisher"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

func connect(t *testing.T, conn *fakeconn.Conn, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.Build(t.Context(), "ticketing", "test", "nats://unused",
		append([]client.Option{client.Transport(conn.Dialer()), client.Logger(slog.New(slog.DiscardHandler))}, opts...)...)
	require.NoError(t, err)
	return c
}

func expirations(t *testing.T, conn *fakeconn.Conn, opts ...publisher.Option) *publisher.Publisher[events.ExpirationComplete] {
	t.Helper()
	p, err := publisher.New[events.ExpirationComplete](connect(t, conn), opts...)
	require.NoError(t, err)
	return p
}

var event = events.ExpirationComplete{OrderID: "o1"}

func TestPublishWaitsForTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		p := expirations(t, conn)
		result := make(chan error)
		go func() { result <- p.Publish(t.Context(), event) }()
		synctest.Wait()
		require.Len(t, conn.Published(), 1)
		require.Equal(t, "expiration:complete", conn.Published()[0].Subject)
		require.JSONEq(t, `{"orderId":"o1"}`, string(conn.Published()[0].Data))
		conn.Settle(1, nil)
		require.NoError(t, <-result)
	})
}

// TestPublishEndsWithItsContext or, where that has no deadline, with the timeout;
// the error says which, and what may have happened.
func TestPublishEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := expirations(t, &fakeconn.Conn{}, publisher.Timeout(10*time.Second))

		started := time.Now()
		err := p.Publish(t.Context(), event)
		require.Equal(t, 10*time.Second, time.Since(started))
		require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
		require.NotErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "publish expiration:complete: outcome unknown: no confirmation from the server within 10s (option Timeout): context deadline exceeded")

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // longer than the timeout: it counts
		defer cancel()
		started = time.Now()
		err = p.Publish(ctx, event)
		require.Equal(t, time.Minute, time.Since(started))
		require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		cause := errors.New("the user left")
		ctx2, cancel2 := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel2(cause) })
		err = p.Publish(ctx2, event)
		require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
		require.ErrorIs(t, err, cause)
		var typed *publisher.Error
		require.ErrorAs(t, err, &typed)
		require.Equal(t, subjects.ExpirationComplete, typed.Subject)
	})
}

// TestContextThatEndedAnother: the text says once what ended it, and both match.
func TestContextThatEndedAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := expirations(t, &fakeconn.Conn{})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(context.DeadlineExceeded) })
		err := p.Publish(ctx, event)
		require.EqualError(t, err, "publish expiration:complete: outcome unknown: context deadline exceeded")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestCauseOfAnotherPublish: the error of the publish that ended the context says
// nothing about this one.
func TestCauseOfAnotherPublish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := expirations(t, &fakeconn.Conn{})
		other := p.Publish(t.Context(), events.ExpirationComplete{})
		require.ErrorIs(t, other, publisher.ErrNotStored)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(other) })
		err := p.Publish(ctx, event)
		require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
		require.NotErrorIs(t, err, publisher.ErrNotStored)
		require.NotErrorIs(t, err, publisher.ErrInvalidEvent)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "orderId: is empty")
	})
}

func TestPending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		p := expirations(t, conn, publisher.Timeout(10*time.Second))
		ctx, cancel := context.WithCancel(t.Context())
		one, err := p.PublishAsync(ctx, event)
		require.NoError(t, err)
		cancel() // bounds the wait for a place only
		time.Sleep(5 * time.Second)
		two, err := p.PublishAsync(t.Context(), event)
		require.NoError(t, err)
		require.ErrorIs(t, one.Err(), publisher.ErrPending)
		require.ErrorIs(t, one.Wait(ctx), publisher.ErrPending)
		require.ErrorIs(t, one.Wait(ctx), context.Canceled)

		<-one.Done() // its timeout
		require.ErrorIs(t, one.Err(), publisher.ErrOutcomeUnknown)
		require.ErrorIs(t, one.Wait(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, two.Err(), publisher.ErrPending, "5 s younger")
		conn.Settle(2, nil)
		require.NoError(t, two.Wait(t.Context()))
		require.NoError(t, two.Err())

		three, err := p.PublishAsync(t.Context(), event)
		require.NoError(t, err)
		started := time.Now()
		require.ErrorIs(t, three.Wait(t.Context()), publisher.ErrOutcomeUnknown)
		require.Equal(t, 10*time.Second, time.Since(started), "the timer runs again")
	})
}

// TestWindow: as many are in flight as the client's window has places; the next
// one waits for one, as long as its context, or the timeout, lets it.
func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeconn.Conn{}
		p, err := publisher.New[events.ExpirationComplete](connect(t, conn, client.PublishWindow(2)), publisher.Timeout(time.Second))
		require.NoError(t, err)
		narrow := connect(t, conn, client.PublishWindow(1))
		long, err := publisher.New[events.ExpirationComplete](narrow, publisher.Timeout(time.Hour))
		require.NoError(t, err)
		short, err := publisher.New[events.ExpirationComplete](narrow, publisher.Timeout(time.Second))
		require.NoError(t, err)
		_, err = long.PublishAsync(t.Context(), event)
		require.NoError(t, err)
		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = long.PublishAsync(ctx, event)
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "publish expiration:complete: not stored: "+
			"the window of publishes in flight is full (client option PublishWindow): context deadline exceeded")
		require.Equal(t, time.Minute, time.Since(started))
		_, err = short.PublishAsync(t.Context(), event)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "publish expiration:complete: not stored: "+
			"the window of publishes in flight is full (client option PublishWindow): no slot within 1s (option Timeout): context deadline exceeded")

		for range 2 {
			_, err := p.PublishAsync(t.Context(), event)
			require.NoError(t, err)
		}
		entered := make(chan struct{})
		go func() {
			_, err := p.PublishAsync(t.Context(), event)
			assert.NoError(t, err)
			close(entered)
		}()
		synctest.Wait()
		require.Len(t, conn.Published(), 3)
		conn.Settle(2, nil)
		<-entered
		require.Len(t, conn.Published(), 4)
	})
}

func TestPublishAll(t *testing.T) {
	t.Parallel()
	all := func(n int) iter.Seq[events.ExpirationComplete] {
		return func(yield func(events.ExpirationComplete) bool) {
			for i := range n {
				if !yield(events.ExpirationComplete{OrderID: strconv.Itoa(i)}) {
					return
				}
			}
		}
	}
	refused := fmt.Errorf("%w: disk full", transport.ErrNotStored)

	t.Run("in order, a window at a time", func(t *testing.T) {
		t.Parallel()
		conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { r.Done(nil) }}
		stored, err := expirations(t, conn).PublishAll(t.Context(), all(5000))
		require.NoError(t, err)
		require.Equal(t, 5000, stored)
		for i, m := range conn.Published() {
			require.Equal(t, fmt.Sprintf(`{"orderId":"%d"}`, i), string(m.Data))
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		stored, err := expirations(t, &fakeconn.Conn{}).PublishAll(t.Context(), all(0))
		require.NoError(t, err)
		require.Zero(t, stored)
	})
	t.Run("stops at the first that fails", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		n := 0
		conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) {
			mu.Lock()
			defer mu.Unlock()
			n++
			if n == 8 || n == 9 {
				r.Done(refused)
				return
			}
			r.Done(nil)
		}}
		stored, err := expirations(t, conn).PublishAll(t.Context(), all(100))
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorContains(t, err, "disk full")
		require.Equal(t, 7, stored)
		require.Len(t, conn.Published(), 8)
	})
	t.Run("an outcome in the middle is not skipped", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			conn := &fakeconn.Conn{}
			p := expirations(t, conn)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				synctest.Wait()
				conn.Settle(1, nil)
				conn.Settle(3, nil) // 2 never
				time.Sleep(time.Second)
				cancel()
			}()
			stored, err := p.PublishAll(ctx, all(3))
			require.Equal(t, 1, stored)
			require.ErrorIs(t, err, publisher.ErrOutcomeUnknown)
			require.ErrorIs(t, err, context.Canceled)
		})
	})
	t.Run("a context that ends while it waits for the window", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			conn := &fakeconn.Conn{}
			p, err := publisher.New[events.ExpirationComplete](connect(t, conn, client.PublishWindow(2)))
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			stored, err := p.PublishAll(ctx, all(3))
			require.Zero(t, stored)
			require.ErrorIs(t, err, publisher.ErrOutcomeUnknown, "of the first")
		})
	})
}

// TestNilIsRefused: a nil iterator, and a publisher that nobody made, as a type
// that embeds one may hold.
func TestNilIsRefused(t *testing.T) {
	t.Parallel()
	check := func(err error, text string) {
		t.Helper()
		var typed *publisher.Error
		require.ErrorAs(t, err, &typed)
		require.Equal(t, subjects.ExpirationComplete, typed.Subject)
		require.ErrorIs(t, err, publisher.ErrNotStored)
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	stored, err := expirations(t, &fakeconn.Conn{}).PublishAll(t.Context(), nil)
	require.Zero(t, stored)
	check(err, "iterator of events: nil")

	var embedding struct {
		*publisher.Publisher[events.ExpirationComplete]
	}
	check(embedding.Publish(t.Context(), event), "publisher: nil; make one with New")
	_, err = embedding.PublishAsync(t.Context(), event)
	check(err, "publisher: nil")
	_, err = embedding.PublishAll(t.Context(), slices.Values([]events.ExpirationComplete{event}))
	check(err, "publisher: nil")
	check(new(publisher.Publisher[events.ExpirationComplete]).Publish(t.Context(), event), "publisher: nil")
}

type (
	noSubject  struct{}
	badSubject struct{}
	text       string
	sometimes  string // an object in JSON if it is empty
)

func (noSubject) Subject() subjects.Subject  { return "" }
func (badSubject) Subject() subjects.Subject { return "a b" }
func (text) Subject() subjects.Subject       { return "text" }
func (sometimes) Subject() subjects.Subject  { return "sometimes" }

func (s sometimes) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("{}"), nil
	}
	return []byte("[]"), nil
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	c := connect(t, &fakeconn.Conn{})
	check := func(err error, text string) {
		t.Helper()
		require.ErrorIs(t, err, client.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	_, err := publisher.New[*events.TicketCreated](c)
	check(err, "event type *events.TicketCreated: it is a pointer; use events.TicketCreated")
	_, err = publisher.New[events.Event](c)
	check(err, "event type events.Event: it is an interface")
	_, err = publisher.New[noSubject](c)
	check(err, "its Subject method: invalid subject: the name is empty")
	_, err = publisher.New[badSubject](c)
	check(err, `invalid subject "a b"`)
	_, err = publisher.New[events.TicketCreated](nil)
	check(err, "new publisher of ticket:created: invalid client: nil")
	_, err = publisher.New[events.TicketCreated](c, publisher.Timeout(0))
	check(err, "option Timeout: 0s; must be positive")
	_, err = publisher.New[events.TicketCreated](c, publisher.Timeout(-time.Second))
	check(err, "option Timeout: -1s; must be positive")
	_, err = publisher.New[events.TicketCreated](c, publisher.Codec(nil))
	check(err, "option Codec: nil")
	_, err = publisher.New[events.TicketCreated](c, nil)
	check(err, "option: nil")

	_, err = publisher.New[text](c)
	check(err, "new publisher of text: invalid event type publisher_test.text: publisher_test.text is not a JSON object")
	require.ErrorIs(t, err, codec.ErrNotObject)

	p, err := publisher.New[sometimes](c)
	require.NoError(t, err)
	err = p.Publish(t.Context(), "not an object")
	require.ErrorIs(t, err, publisher.ErrInvalidEvent)
	require.ErrorIs(t, err, codec.ErrNotObject)
}

// TestConcurrentPublishers: what they share, buffers and values, does not mix.
func TestConcurrentPublishers(t *testing.T) {
	t.Parallel()
	conn := &fakeconn.Conn{OnPublish: func(_ transport.Message, r transport.Receipt) { go r.Done(nil) }}
	p := expirations(t, conn)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				id := fmt.Sprintf("%d-%d", w, i)
				if i%2 == 0 {
					require.NoError(t, p.Publish(t.Context(), events.ExpirationComplete{OrderID: id}))
					continue
				}
				pending, err := p.PublishAsync(t.Context(), events.ExpirationComplete{OrderID: id})
				require.NoError(t, err)
				require.NoError(t, pending.Wait(t.Context()))
			}
		})
	}
	wg.Wait()
	all := make([]string, 0, 8*200)
	for _, m := range conn.Published() {
		all = append(all, string(m.Data))
	}
	slices.Sort(all)
	require.Len(t, slices.Compact(all), 8*200)
}
