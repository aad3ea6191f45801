package listener_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/codec"
	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

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
