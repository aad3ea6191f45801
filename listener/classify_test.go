package listener_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

var (
	errUnique = errors.New("unique violation")
	errBusy   = errors.New("busy")
	errEarly  = errors.New("too early")
	errOdd    = errors.New("odd")
)

// kinds is what a service may make of its database's errors.
func kinds(err error) error {
	switch {
	case errors.Is(err, errUnique):
		return listener.Reject(err)
	case errors.Is(err, errBusy):
		return listener.RetryAfter(time.Second, nil)
	case errors.Is(err, errEarly):
		return listener.Defer(time.Second)
	case errors.Is(err, errOdd):
		panic("no idea")
	default:
		return err
	}
}

// TestClassify: what becomes of an event depends on the kind of its error, returned or given
// to Nak. Errors that say it by themselves keep their meaning.
func TestClassify(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err      error
		opts     []listener.Option
		attempts []int // in the first 2.5 s
		reason   events.DeadLetterReason
		text     string // of the dead letter
		logs     string
	}{
		"reject":      {err: fmt.Errorf("insert: %w", errUnique), attempts: []int{1}, reason: events.DeadLetterRejected, text: "insert: unique violation"},
		"retry after": {err: errBusy, attempts: []int{1, 2, 3}, reason: events.DeadLetterExhausted, text: "busy", logs: `handler failed: the event is tried again`},
		"defer": {
			err: errEarly, attempts: []int{1, 1, 1},
			logs: `level=INFO msg="event can't be handled yet, which is no attempt: it is tried again" ` +
				`subject=expiration:complete group=expirations sequence=1 attempt=1 error="too early"`,
		},
		"retry":              {err: errNotToday, attempts: []int{1}, logs: `level=WARN msg="handler failed: the event is tried again"`},
		"it panics":          {err: errOdd, attempts: []int{1}, logs: "option Classify panicked: the event is tried again"},
		"the handler itself": {err: listener.RetryAfter(time.Second, errUnique), attempts: []int{1, 2, 3}, reason: events.DeadLetterExhausted, text: "unique violation"},
		"rejected itself":    {err: listener.Reject(errEarly), attempts: []int{1}, reason: events.DeadLetterRejected, text: "too early"},
		"version gap":        {err: fmt.Errorf("%w, %w", errUnique, listener.ErrVersionGap), attempts: []int{1, 1, 1, 1, 1}},
		"nil": {
			err: errUnique, attempts: []int{1}, logs: "handler failed: the event is tried again",
			opts: []listener.Option{listener.Classify(func(error) error { return nil })},
		},
		"its own text": {
			err: errUnique, attempts: []int{1}, reason: events.DeadLetterRejected, text: "handled before: unique violation",
			opts: []listener.Option{listener.Classify(func(error) error { return listener.Reject(errors.New("handled before")) })},
		},
		"no text": {
			err: errUnique, attempts: []int{1}, reason: events.DeadLetterRejected, text: "unique violation",
			opts: []listener.Option{listener.Classify(func(error) error { return listener.Reject(nil) })},
		},
	} {
		for how, manual := range map[string]bool{"returned": false, "Nak": true} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var attempts []int
					opts := append([]listener.Option{
						listener.Classify(kinds), listener.MaxAttempts(3), listener.Backoff(10*time.Second, 10*time.Second),
					}, test.opts...)
					if manual {
						opts = append(opts, listener.ManualAck())
					}
					b := listenOn(t, &fakeconn.Conn{Declared: transport.Features{InProgress: true}}, func(_ context.Context, _ expiration, d listener.Delivery) error {
						attempts = append(attempts, d.Attempt)
						if manual {
							return d.Nak(test.err)
						}
						return test.err
					}, opts...)
					b.deliver(1)
					time.Sleep(2500 * time.Millisecond)
					synctest.Wait()
					require.Equal(t, test.attempts, attempts)
					if test.reason == "" {
						require.Empty(t, b.conn.Published())
					} else {
						require.Len(t, b.conn.Published(), 1)
						letter := decodeDeadLetter(t, b.conn.Published()[0].Data)
						require.Equal(t, test.reason, letter.Reason)
						require.Equal(t, test.text, letter.Error)
					}
					require.Contains(t, b.log.String(), test.logs)
					b.stop()
					require.NoError(t, <-b.ended)
				})
			})
		}
	}
}

// nilError panics when it is asked what it says.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }
func (e *nilError) Unwrap() error { return errors.New(e.text) }

// TestClassifyIsNotAskedAbout what no handler returned.
func TestClassifyIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []error
		b := listen(t, func(_ context.Context, e expiration, _ listener.Delivery) error {
			switch e.OrderID {
			case "1":
				panic("boom")
			case "2":
				var none *nilError
				return none
			default:
				return nil
			}
		}, listener.MaxAttempts(1), listener.Classify(func(err error) error {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, err)
			return listener.Reject(err)
		}))
		for n := range uint64(3) {
			b.deliver(n + 1)
		}
		b.conn.Subscriptions()[0].Deliver(transport.Delivery{Sequence: 4, Timestamp: time.Unix(4, 0), Data: []byte("{")})
		time.Sleep(time.Second)
		synctest.Wait()
		require.Empty(t, asked)
		var reasons []events.DeadLetterReason
		for _, m := range b.conn.Published() {
			reasons = append(reasons, decodeDeadLetter(t, m.Data).Reason)
		}
		require.ElementsMatch(t, []events.DeadLetterReason{events.DeadLetterExhausted, events.DeadLetterExhausted, events.DeadLetterUndecodable}, reasons)
		require.Contains(t, b.log.String(), "whose own methods panic")
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestClassifyNeedsAFunction(t *testing.T) {
	t.Parallel()
	c, _ := build(t, &fakeconn.Conn{})
	_, err := listener.New(c, "g", func(context.Context, expiration, listener.Delivery) error { return nil }, listener.Classify(nil))
	require.ErrorIs(t, err, client.ErrInvalid)
	require.ErrorContains(t, err, "option Classify: nil")
}

func ExampleClassify() {
	errDuplicate := errors.New("duplicate key") // such as a pgconn.PgError with the code 23505
	opt := listener.Classify(func(err error) error {
		if errors.Is(err, errDuplicate) {
			return listener.Reject(err) // trying again can't help
		}
		return err // a lost database comes back
	})
	_ = listener.Defaults(opt) // for all listeners of a client, or for one: an option of New
	// Output:
}
