package integration_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// TestOrderUnderFailures: 16 workers, one attempt in twenty fails; the events of each
// key are handled once, in order. make test-order makes it 100,000 events.
func TestOrderUnderFailures(t *testing.T) {
	type streaming struct{}
	type jetStreamed struct{}
	t.Run("NATS Streaming", func(t *testing.T) {
		fresh[streaming](t)
		underFailures[streaming](t, connect(t))
	})
	t.Run("JetStream", func(t *testing.T) {
		underFailures[jetStreamed](t, newStream(t).connect(t, string(fresh[jetStreamed](t))))
	})
}

func underFailures[Tag any](t *testing.T, c *client.Client) {
	t.Helper()
	const keys, failing = 1000, 0.05
	n := numberOfEvents(10_000)
	var mu sync.Mutex
	last, handled, wrong, failed := make([]int, keys), 0, 0, 0
	all := make(chan struct{})
	l := listen(t, c, group(), func(_ context.Context, e note[Tag], _ listener.Delivery) error {
		if rand.Float64() < failing {
			mu.Lock()
			failed++
			mu.Unlock()
			return errors.New("not today")
		}
		mu.Lock()
		defer mu.Unlock()
		if last[e.N%keys] >= e.N {
			wrong++ // overtaken, or handled twice
		}
		last[e.N%keys] = e.N
		handled++
		if handled == n {
			close(all)
		}
		return nil
	}, listener.Concurrency(16), listener.OrderingKey(func(e note[Tag]) string { return strconv.Itoa(e.N % keys) }))
	began := time.Now()
	p, err := publisher.New[note[Tag]](c)
	require.NoError(t, err)
	stored, err := p.PublishAll(t.Context(), func(yield func(note[Tag]) bool) {
		for i := 1; i <= n && yield(note[Tag]{N: i}); i++ { //nolint:revive // it goes on as long as it is listened to
		}
	})
	require.NoError(t, err)
	require.Equal(t, n, stored)
	select {
	case <-all:
	case <-time.After(3 * time.Minute):
	}
	require.NoError(t, l.end(t))
	require.Equal(t, n, handled, "lost")
	require.Zero(t, wrong, "out of order, or twice")
	t.Logf("%d events handled once and in order in %v, after %d failed attempts", handled, time.Since(began).Round(time.Millisecond), failed)
}
