package integration_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/devserver"
	"github.com/sgtickets/common/devserver/faults/proxy"
	"github.com/sgtickets/common/listener"
)

// waiting is a handler whose events can be held up, and that counts its runs.
type waiting struct {
	gate    chan struct{} // closed: nothing is held up
	begun   chan int
	mu      sync.Mutex
	handled map[int]int // how often, by number
}

func newWaiting() *waiting {
	return &waiting{gate: make(chan struct{}), begun: make(chan int, 1000), handled: make(map[int]int)}
}

func holdUp[Tag any](w *waiting) listener.Handler[note[Tag]] {
	return func(_ context.Context, e note[Tag], _ listener.Delivery) error {
		select {
		case w.begun <- e.N:
		default: // nobody waits for it
		}
		<-w.gate
		w.mu.Lock()
		defer w.mu.Unlock()
		w.handled[e.N]++
		return nil
	}
}

func (w *waiting) all() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]int, 0, len(w.handled))
	for n := range w.handled {
		all = append(all, n)
	}
	return all
}

// TestLostAcknowledgements: what a member has handled and acknowledged is not handled by
// another one, though the acknowledgements went down with the link.
func TestLostAcknowledgements(t *testing.T) {
	t.Parallel()
	t.Run("written into a dead link", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		lostAcknowledgements[tag](t, (*proxy.Proxy).Drop, func(*proxy.Proxy) {})
	})
	t.Run("refused while the link was away", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		lostAcknowledgements[tag](t, func(p *proxy.Proxy) { p.Refuse(true); p.Cut() }, func(p *proxy.Proxy) { p.Refuse(false) })
	})
}

func lostAcknowledgements[Tag any](t *testing.T, cut, mend func(*proxy.Proxy)) {
	t.Helper()
	fresh[Tag](t)
	between, url := startProxy(t, server.url)
	here, err := client.Build(deadline(t), server.clusterID, "test-"+rand.Text(), url, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, here) })
	there := connect(t)
	name, first, second := group(), newWaiting(), newWaiting()
	close(second.gate)
	const before = 20
	many := []listener.Option{listener.Concurrency(before), listener.MaxInFlight(before), listener.AckWait(time.Minute)}
	member := listen(t, here, name, holdUp[Tag](first), many...)
	publish[Tag](t, there, before)
	for range before {
		<-first.begun
	}
	other := listen(t, there, name, holdUp[Tag](second), many...)

	cut(between)
	close(first.gate)
	require.Eventually(t, func() bool { return len(first.all()) == before }, patience, time.Millisecond)
	mend(between)
	for n := before + 1; len(first.all()) == before; n++ { // until the first one is a member again
		publishFrom[Tag](t, there, n, n)
		require.Eventually(t, func() bool { return len(first.all())+len(second.all()) >= n }, patience, time.Millisecond)
	}
	// What the server takes for not acknowledged goes to the members that are left, and to those that join.
	require.NoError(t, member.end(t))
	require.NoError(t, other.end(t))
	third := newInbox()
	listen(t, there, name, into[Tag](third))
	publishFrom[Tag](t, there, 1_000_000, 1_000_000)
	require.Equal(t, 1_000_000, third.next(t).n)
	for _, n := range second.all() {
		require.Greater(t, n, before, "it was handled and acknowledged by the other member")
	}
}

// TestAcknowledgementsLostAtTheEnd: they are sent again also for a listener that has ended
// while the link was away, before its client leaves.
func TestAcknowledgementsLostAtTheEnd(t *testing.T) {
	t.Parallel()
	type tag struct{}
	fresh[tag](t)
	between, url := startProxy(t, server.url)
	here, err := client.Build(deadline(t), server.clusterID, "test-"+rand.Text(), url, quiet())
	require.NoError(t, err)
	there := connect(t)
	name, first := group(), newWaiting()
	member := listen(t, here, name, holdUp[tag](first), listener.Concurrency(3), listener.AckWait(time.Minute))
	publish[tag](t, there, 3)
	for range 3 {
		<-first.begun
	}
	between.Refuse(true)
	between.Cut()
	close(first.gate)
	require.NoError(t, member.end(t))
	closed := make(chan error, 1)
	go func() { closed <- here.Close(deadline(t)) }()
	between.Refuse(false)
	require.NoError(t, <-closed)

	third := newInbox()
	listen(t, there, name, into[tag](third))
	publishFrom[tag](t, there, 4, 4)
	require.Equal(t, 4, third.next(t).n)
}

// TestLostAcknowledgementsAndRestarts: a server that was restarted with its store gets them.
// One whose store was put back to an earlier state does not, where other events have the
// sequences.
func TestLostAcknowledgementsAndRestarts(t *testing.T) {
	t.Parallel()
	t.Run("the same store", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		acknowledgeAcrossRestart[tag](t, false)
	})
	t.Run("an earlier state", func(t *testing.T) {
		t.Parallel()
		type tag struct{}
		acknowledgeAcrossRestart[tag](t, true)
	})
}

func acknowledgeAcrossRestart[Tag any](t *testing.T, earlier bool) {
	t.Helper()
	fresh[Tag](t)
	store, backup := t.TempDir(), t.TempDir()
	s, err := devserver.Start(devserver.StoreDir(store))
	require.NoError(t, err)
	t.Cleanup(func() { s.Shutdown() })
	between, url := startProxy(t, s.URL())
	c, err := client.Build(deadline(t), s.ClusterID(), "member", url, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { closeClient(t, c) })
	name, first := group(), newWaiting()
	member := listen(t, c, name, holdUp[Tag](first), listener.Concurrency(3), listener.AckWait(time.Minute))
	if earlier {
		require.NoError(t, os.CopyFS(backup, os.DirFS(store)))
		store = backup
	}
	publishTo[Tag](t, s, 1, 3)
	for range 3 {
		<-first.begun
	}
	second := newWaiting()
	close(second.gate)
	if !earlier { // another member, who would get what the server takes for not acknowledged
		there, err := client.Build(deadline(t), s.ClusterID(), "another-member", s.URL(), quiet())
		require.NoError(t, err)
		t.Cleanup(func() { closeClient(t, there) })
		listen(t, there, name, holdUp[Tag](second), listener.AckWait(time.Minute))
	}
	between.Refuse(true)
	between.Cut()
	close(first.gate)
	require.Eventually(t, func() bool { return len(first.all()) == 3 }, patience, time.Millisecond)
	s.Shutdown()

	address, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(s.URL(), "nats://"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s, err = devserver.Start(devserver.StoreDir(store), devserver.Port(address.Port))
		return err == nil
	}, patience, 10*time.Millisecond)
	publishTo[Tag](t, s, 4, 6)
	between.Refuse(false)
	for n := 7; len(first.all()) == 3; n++ { // until it is a member again
		publishTo[Tag](t, s, n, n)
	}
	require.Eventually(t, func() bool { return len(first.all())+len(second.all()) >= 6 }, patience, time.Millisecond,
		"after a restore events 4 to 6 have the sequences of 1 to 3")
	require.NoError(t, member.end(t))
	third := newWaiting()
	close(third.gate)
	listen(t, c, name, holdUp[Tag](third))
	for n := 1_000_000; len(third.all()) == 0; n++ {
		publishTo[Tag](t, s, n, n)
	}
	for _, n := range append(second.all(), third.all()...) {
		require.Greater(t, n, 3, "it was handled and acknowledged by the first member")
	}
}

// publishTo publishes to that server.
func publishTo[Tag any](t *testing.T, s *devserver.Server, first, last int) {
	t.Helper()
	c, err := client.Build(deadline(t), s.ClusterID(), "publisher", s.URL(), quiet())
	require.NoError(t, err)
	publishFrom[Tag](t, c, first, last)
	closeClient(t, c)
}
