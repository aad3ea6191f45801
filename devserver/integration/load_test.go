package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/listener"
	"github.com/sgtickets/common/publisher"
)

// clusterPatience is the patience for what may take a cluster several elections.
const clusterPatience = 2 * time.Minute

// outage is a cluster whose leader is to be killed.
type outage struct {
	cluster interface {
		ClusterID() string
		URL() string
		Kill(node int) error
		Restart(node int) error
		WaitReady(ctx context.Context) error
	}
	leader  func() (node int, ok bool)
	options []client.Option
	timeout time.Duration // of each publish
}

func (o outage) connect(t *testing.T, clientID string) *client.Client {
	t.Helper()
	c, err := client.Build(deadline(t), o.cluster.ClusterID(), clientID, o.cluster.URL(), append([]client.Option{quiet()}, o.options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// underLoad kills the leader while events are published as fast as they are
// stored, brings it back, and counts from both ends: what was confirmed has
// arrived, and what was refused has not.
func underLoad[Tag any](t *testing.T, o outage) {
	t.Helper()
	const writers, each = 8, 200
	var books ledger
	members := group()
	for i := range 2 {
		listen(t, o.connect(t, fmt.Sprintf("listener-%d", i)), members, func(_ context.Context, e note[Tag], _ listener.Delivery) error {
			books.received(e.N)
			return nil
		}, listener.Concurrency(4))
	}
	p, err := publisher.New[note[Tag]](o.connect(t, "publisher"), publisher.Timeout(o.timeout))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for range writers {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := books.next()
				books.published(n, p.Publish(context.Background(), note[Tag]{N: n}))
			}
		})
	}

	books.awaitNew(t, each)
	node, ok := o.leader()
	require.True(t, ok, "there is a leader")
	require.NoError(t, o.cluster.Kill(node))
	killed := time.Now()
	books.awaitNew(t, 1)
	gap := time.Since(killed)
	books.awaitNew(t, each)

	require.NoError(t, o.cluster.Restart(node))
	ready, cancel := context.WithTimeout(t.Context(), clusterPatience)
	defer cancel()
	require.NoError(t, o.cluster.WaitReady(ready))
	books.awaitNew(t, each)
	stop()
	wg.Wait()
	books.settle(t)
	t.Logf("node %d was killed, and publishing went on %v later", node, gap.Round(time.Millisecond))
}

// ledger is what became of each event.
type ledger struct {
	mu     sync.Mutex
	events []entry // number 1 comes first
}

type entry struct {
	ended bool
	err   error // of the publish that ended
	times int   // how often it was received
}

// next is the number of an event that is about to be published.
func (l *ledger) next() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, entry{})
	return len(l.events)
}

func (l *ledger) published(n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[n-1].ended, l.events[n-1].err = true, err
}

func (l *ledger) received(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[n-1].times++
}

// count is how many of the events from number first on are as is says.
func (l *ledger) count(first int, is func(entry) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events[first-1:] {
		if is(e) {
			n++
		}
	}
	return n
}

func (e entry) confirmed() bool { return e.ended && e.err == nil }
func (e entry) notStored() bool { return errors.Is(e.err, publisher.ErrNotStored) }
func (e entry) unknown() bool   { return errors.Is(e.err, publisher.ErrOutcomeUnknown) }
func (e entry) lost() bool      { return e.confirmed() && e.times == 0 }
func (e entry) ghost() bool     { return e.notStored() && e.times > 0 }
func (e entry) doubled() bool   { return e.times > 1 }

// awaitNew waits until n events are confirmed that are published from now on.
func (l *ledger) awaitNew(t *testing.T, n int) {
	t.Helper()
	first := 1 + l.count(1, func(entry) bool { return true })
	require.Eventually(t, func() bool { return l.count(first, entry.confirmed) >= n }, clusterPatience, 10*time.Millisecond, "publishing did not go on")
}

// settle waits until everything has arrived that was confirmed, and tells how
// the accounts stand.
func (l *ledger) settle(t *testing.T) {
	t.Helper()
	arrived := assert.Eventually(t, func() bool { return l.count(1, entry.lost) == 0 }, clusterPatience, 10*time.Millisecond)
	assert.Zero(t, l.count(1, entry.ghost), "events that came although their publish said that they are not stored")
	confirmed, notStored, unknown := l.count(1, entry.confirmed), l.count(1, entry.notStored), l.count(1, entry.unknown)
	assert.Len(t, l.events, confirmed+notStored+unknown, "each publish ends in one of three ways")
	t.Logf("%d confirmed (%d not received), %d not stored, %d of unknown outcome, %d received more than once",
		confirmed, l.count(1, entry.lost), notStored, unknown, l.count(1, entry.doubled))
	require.True(t, arrived)
}
