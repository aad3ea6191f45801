package listener_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/listener"
)

func TestOrderingKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []uint64
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			time.Sleep(time.Duration(10-d.Sequence) * 100 * time.Millisecond) // later ones are quicker
			mu.Lock()
			defer mu.Unlock()
			order = append(order, d.Sequence)
			return nil
		}, listener.Concurrency(8), listener.OrderingKey(func(e expiration) string {
			n, _ := strconv.Atoi(e.OrderID)
			return strconv.Itoa(n % 2)
		}))
		for n := uint64(1); n <= 6; n++ {
			b.deliver(n)
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		var odd, even []uint64
		for _, n := range order {
			if n%2 == 1 {
				odd = append(odd, n)
			} else {
				even = append(even, n)
			}
		}
		require.Equal(t, []uint64{1, 3, 5}, odd)
		require.Equal(t, []uint64{2, 4, 6}, even)
		require.NotEqual(t, []uint64{1, 2, 3, 4, 5, 6}, order, "the keys do not wait for one another")
		b.stop() // no handler runs
		require.NoError(t, <-b.ended)
	})
}

// TestOrderingKeyWithManualAck: the next of a key begins when the one before it is
// settled; what is left open for an ack wait is tried again first.
func TestOrderingKeyWithManualAck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deliveries := make(chan listener.Delivery, 3)
		b := listen(t, func(_ context.Context, _ expiration, d listener.Delivery) error {
			deliveries <- d
			return nil
		}, listener.ManualAck(), listener.AckWait(10*time.Second), listener.Concurrency(4), listener.OrderingKey(func(expiration) string { return "" }))
		for n := uint64(1); n <= 3; n++ {
			b.deliver(n)
		}
		first := <-deliveries
		time.Sleep(4 * time.Second)
		require.Empty(t, deliveries)
		require.NoError(t, first.Ack())
		require.Equal(t, uint64(2), (<-deliveries).Sequence)
		time.Sleep(5 * time.Second)
		b.deliver(3) // 3 comes again meanwhile
		time.Sleep(4 * time.Second)
		require.Empty(t, deliveries)
		second := b.deliver(2) // 2 was left open for an ack wait: its next attempt is due
		retried := <-deliveries
		require.Equal(t, uint64(2), retried.Sequence)
		require.Equal(t, 2, retried.Attempt)
		require.NoError(t, retried.Ack())
		require.Equal(t, 1, second.Acks())
		require.Equal(t, uint64(3), (<-deliveries).Sequence)
		b.stop()
		require.NoError(t, <-b.ended)
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
