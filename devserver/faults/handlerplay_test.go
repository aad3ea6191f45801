package faults_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/events"
)

// slow lets three handlers take longer than twice the ack wait.
func slow(members int) func(*testing.T, *scene) {
	return func(t *testing.T, c *scene) {
		t.Helper()
		c.begin(t)
		for n := range members - 1 {
			other, err := c.connect(fmt.Sprintf("member-%d", n+2))
			require.NoError(t, err)
			c.listenAs(t, other, c.handle)
		}
		for range 3 {
			c.put(beat{Takes: span(12*time.Second, 4800*time.Millisecond).Milliseconds()})
			c.flow()
		}
		if c.handlesOdd(3, span(time.Minute, patience)) { // raw stan.go handles one after another, again and again
			_, c.took = c.ledger.oddHandled()
		}
		c.flow()
	}
}

// handlesOdd waits until n of the odd events are handled, and reports whether they are.
func (c *scene) handlesOdd(n int, atMost time.Duration) bool {
	return await(atMost, func() bool { handled, _ := c.ledger.oddHandled(); return handled == n })
}

// panicking has a handler panic, in a process that is started again as often as it
// crashes.
func panicking(t *testing.T, c *scene) {
	t.Helper()
	listener := c.hire(t)
	c.beginBeside(t, listener)
	begun := time.Now()
	c.put(beat{Does: panics})
	for end := begun.Add(span(20*time.Second, 4*time.Second)); time.Now().Before(end); {
		select {
		case <-listener.ended():
			c.crashes++
			time.Sleep(300 * time.Millisecond)
			listener = c.hire(t)
		case <-time.After(time.Until(end)):
		}
	}
	if c.side.ours() { // on a busy machine the attempts take longer
		c.awaitLetters(t, 1, begun)
	}
	for _, letter := range c.letters(t) {
		c.took = letter.FailedAt.Sub(begun)
	}
}

// exiting has a handler end its process, which is started again as often as it ends, until the
// event is given up. Raw stan.go gives nothing up.
func exiting(t *testing.T, c *scene) {
	t.Helper()
	exit(t, c, func(int) string { return "listener" })
}

// exitingAnew is the same with a client ID of its own for each process, as replicas have them.
func exitingAnew(t *testing.T, c *scene) {
	t.Helper()
	exit(t, c, func(n int) string { return fmt.Sprintf("listener-%d", n) })
}

func exit(t *testing.T, c *scene, clientID func(n int) string) {
	t.Helper()
	if c.broker != nil {
		t.Skip("a service of the broker in memory is no process; package listener has tests of it")
	}
	listener := c.start(t, clientID(0), 0)
	c.beginBeside(t, listener)
	begun := time.Now()
	c.put(beat{Does: exits})
	most := 2 * time.Minute
	if !c.side.ours() {
		most = span(20*time.Second, 4*time.Second)
	}
	for time.Since(begun) < most && c.took == never {
		select {
		case <-listener.ended():
			c.crashes++
			time.Sleep(300 * time.Millisecond)
			listener = c.start(t, clientID(c.crashes), 0)
		case <-time.After(200 * time.Millisecond):
			if !c.side.ours() {
				continue
			}
			for _, letter := range c.letters(t) {
				c.took = letter.FailedAt.Sub(begun)
				require.Equal(t, events.DeadLetterCrashed, letter.Reason)
			}
		}
	}
	c.flow()
}

// undecodable has payloads that are no events in the way of the others.
func undecodable(n int) func(*testing.T, *scene) {
	return func(t *testing.T, c *scene) {
		t.Helper()
		c.begin(t)
		begun := time.Now()
		for i := range n {
			payload := []byte{'{', '"', 'n', '"', ':', byte(i), 0xff, 0, '\n'}
			c.junk = append(c.junk, payload)
			require.NoError(t, c.member.send(payload))
		}
		c.awaitLetters(t, n, begun)
		c.flow()
	}
}

// failing has as many events fail for good as may be in flight.
func failing(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	begun := time.Now()
	for range c.setup.MaxInFlight {
		c.put(beat{Does: fails})
	}
	c.awaitLetters(t, c.setup.MaxInFlight, begun)
	c.flow()
}

// stalled does so without dead letters, until the handler is mended.
func stalled(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	for range c.setup.MaxInFlight {
		c.put(beat{Does: fails})
	}
	service, has := c.member.(ours) // a status
	if has && await(patience, func() bool { return tells(service, remedy) && c.says.warns(remedy) }) {
		c.told = "degraded"
	}
	time.Sleep(span(10*time.Second, 500*time.Millisecond))
	mended := time.Now()
	c.mended.Store(true)
	if c.handlesOdd(c.setup.MaxInFlight, patience) {
		c.took = time.Since(mended)
	}
	if has && await(patience, func() bool { return service.client.Status().State == client.Connected }) {
		c.told += ", then connected"
	}
	c.flow()
}

// remedy is how to get out, in the log and in the status.
const remedy = "leave out option NoDeadLetters"

// tells reports whether a service is degraded for a reason that has these words.
func tells(s ours, words string) bool {
	status := s.client.Status()
	return status.State == client.Degraded && slices.ContainsFunc(status.Reasons, func(r client.Reason) bool {
		return r.Err != nil && strings.Contains(r.Err.Error(), words)
	})
}

// killHandler kills a process whose handler runs, and starts its successor.
func killHandler(t *testing.T, c *scene) {
	t.Helper()
	first := c.hire(t)
	c.beginBeside(t, first)
	n := c.put(beat{Takes: 3000})
	require.True(t, await(patience, func() bool { return c.ledger.begins(n) > 0 }), "it did not begin")
	first.kill()
	killed := time.Now()
	c.hire(t)
	if c.handlesOdd(1, 2*patience) {
		c.took = time.Since(killed)
	}
	c.flow()
}

// awaitLetters waits for dead letters. Raw stan.go writes none.
func (c *scene) awaitLetters(t *testing.T, n int, since time.Time) {
	t.Helper()
	if !c.side.ours() {
		time.Sleep(span(10*time.Second, time.Second))
		return
	}
	// On a busy machine many events are before the one that becomes a dead letter.
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if len(c.letters(t)) >= n {
			c.took = time.Since(since)
			return
		}
	}
}

// worker is a member of the group that may crash, or is killed.
type worker interface {
	awaitReady(t *testing.T)
	ended() <-chan struct{}
	kill()
}

// hire starts one: a process, but in memory, where it is a client that is cut short.
func (c *scene) hire(t *testing.T) worker {
	t.Helper()
	const clientID = "listener"
	if c.broker == nil {
		return c.start(t, clientID, 0)
	}
	m, err := c.connect(clientID)
	require.NoError(t, err)
	g := &guest{member: m}
	c.listenAs(t, m, func(e beat, m message) error {
		c.ledger.began(e.N, m)
		err := e.perform(false)
		if g.killed.Load() {
			return errKilled // a process that is gone acknowledges nothing
		}
		if err == nil {
			c.ledger.handled(e.N, m, time.Now())
		}
		return err
	})
	return g
}

var errKilled = errors.New("killed")

type guest struct {
	member

	killed atomic.Bool
}

func (*guest) awaitReady(*testing.T) {}

func (*guest) ended() <-chan struct{} { return nil }

func (g *guest) kill() {
	g.killed.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = g.close(ctx) // which says that a handler was cut off
}
