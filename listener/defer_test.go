package listener_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/transport"
)

// TestDefer: "not yet" uses no attempt, returned or through Nak, held here or given back.
func TestDefer(t *testing.T) {
	t.Parallel()
	for name, manual := range map[string]bool{"returned": false, "Nak": true} {
		for kind, features := range map[string]transport.Features{"streaming": {}, "jetstream": {InProgress: true, Nak: true}} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var opts []listener.Option
					if manual {
						opts = append(opts, listener.ManualAck())
					}
					var runs atomic.Int32
					var attempts []int
					b := listenOn(t, &fakeconn.Conn{Declared: features}, func(_ context.Context, _ expiration, d listener.Delivery) error {
						run := runs.Add(1)
						attempts = append(attempts, d.Attempt)
						err := listener.Defer(time.Second)
						switch run {
						case 4:
							err = fmt.Errorf("not today: %w", listener.RetryAfter(time.Second, errNotToday))
						case 8:
							err = errNotToday
						}
						if manual {
							return d.Nak(err)
						}
						return err
					}, append(opts, listener.MaxAttempts(2), listener.Backoff(time.Second, time.Second))...)
					for n := range 8 {
						if features.Nak || n == 0 || n == 5 { // over NATS Streaming the event is held within its ack wait
							b.deliver(1)
						}
						time.Sleep(time.Second / 2)
						synctest.Wait()
						require.EqualValues(t, n+1, runs.Load(), "one second after the other")
						time.Sleep(time.Second / 2)
					}
					synctest.Wait()
					require.Equal(t, []int{1, 1, 1, 1, 2, 2, 2, 2}, attempts)
					require.Len(t, b.conn.Published(), 1)
					letter := decodeDeadLetter(t, b.conn.Published()[0].Data)
					require.Equal(t, events.DeadLetterExhausted, letter.Reason)
					require.Equal(t, 2, letter.Attempts)
					require.Equal(t, 1, strings.Count(b.log.String(), "handler failed"), "to defer is no failure, and the last one is told with the dead letter")
					b.stop()
					require.NoError(t, <-b.ended)
				})
			})
		}
	}
}

func TestDeferIsAnError(t *testing.T) {
	t.Parallel()
	require.EqualError(t, listener.Defer(time.Second), "deferred for 1s")
	require.EqualError(t, listener.Defer(-time.Second), "deferred for 0s")
	require.NoError(t, errors.Unwrap(listener.Defer(time.Second)))
}
