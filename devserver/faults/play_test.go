package faults_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/devserver/faults/proxy"
)

func killServer(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	for range 3 {
		c.ledger.strike(c.server.kill)
		time.Sleep(span(time.Second, 300*time.Millisecond))
		c.ledger.lift()
		c.server.start(t)
		c.over()
	}
}

// shutDownServer ends the server as an orchestrator does, and finds a listener that has more
// to do than it can, so that it asks for events while the server shuts down.
func shutDownServer(t *testing.T, c *scene) {
	t.Helper()
	c.setup.MaxInFlight = 8
	c.begin(t)
	for range 3 {
		for range 40 {
			c.post(beat{Takes: 8}, false)
		}
		c.ledger.strike(func() { c.server.terminate(t) })
		time.Sleep(span(time.Second, 300*time.Millisecond))
		c.ledger.lift()
		c.server.start(t)
		c.over()
	}
}

func stopServer(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	c.ledger.strike(c.server.kill)
	time.Sleep(span(10*time.Second, 2*time.Second))
	c.ledger.lift()
	c.server.start(t)
	c.over()
}

func emptyServer(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	c.ledger.strike(c.server.kill)
	time.Sleep(span(time.Second, 300*time.Millisecond))
	c.server.empty(t)
	c.ledger.lostStore()
	c.ledger.lift()
	c.server.start(t)
	c.over()
}

func freeze(whole, scaled time.Duration) func(*testing.T, *scene) {
	return func(t *testing.T, c *scene) {
		t.Helper()
		c.begin(t)
		c.ledger.strike(func() { c.server.freeze(t) })
		time.Sleep(span(whole, scaled))
		c.ledger.lift()
		c.server.thaw(t)
		c.over()
	}
}

func cutLink(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	c.ledger.strike(func() {
		c.link.Refuse(true)
		c.link.Cut()
	})
	time.Sleep(span(5*time.Second, time.Second))
	c.ledger.lift()
	c.link.Refuse(false)
	c.over()
}

func halfClose(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	c.ledger.strike(func() { c.link.HalfClose(proxy.ToServer) })
	c.over()
	c.ledger.strike(func() { c.link.HalfClose(proxy.ToClient) })
	c.over()
}

func blackHole(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	c.ledger.strike(func() { c.link.Stall(true) })
	time.Sleep(span(30*time.Second, 6*time.Second))
	c.ledger.lift()
	c.link.Stall(false)
	c.over()
}

func dropLink(t *testing.T, c *scene) {
	t.Helper()
	c.begin(t)
	c.ledger.strike(c.link.Drop)
	c.over()
}

// startEarly: the client is there before its server.
func startEarly(t *testing.T, c *scene) {
	t.Helper()
	c.ledger.strike(c.server.kill)
	joined := make(chan error, 1)
	began := time.Now()
	go func() {
		err := c.join()
		c.exitedAfter = time.Since(began)
		joined <- err
	}()
	time.Sleep(span(3*time.Second, time.Second))
	c.ledger.lift()
	c.server.start(t)
	c.ledger.over()
	if c.exited = <-joined; c.exited != nil {
		return
	}
	c.listen(t)
	c.publish()
	await(patience, c.ledger.isBack)
	c.flow()
}

// killListener kills the process that listens, and starts its successor.
func killListener(clientID, successor string) func(*testing.T, *scene) {
	return func(t *testing.T, c *scene) {
		t.Helper()
		first := c.listenAside(t, clientID)
		c.ledger.strike(first.kill)
		time.Sleep(span(time.Second, 300*time.Millisecond))
		c.ledger.lift()
		c.start(t, successor, 0)
		c.over()
	}
}

// replace: a process is frozen, and its client ID taken over by another. When it
// goes on, it ends as it always does.
func replace(t *testing.T, c *scene) {
	t.Helper()
	older := c.listenAside(t, "listener")
	older.signal(t, syscall.SIGSTOP)
	successor := c.start(t, "listener", 0)
	successor.awaitReady(t)
	c.flow()
	older.signal(t, syscall.SIGTERM) // before it learns what has happened
	older.signal(t, syscall.SIGCONT)
	older.awaitExit(t)
	c.ledger.strike(func() {}) // it is over already
	c.over()
}

// listenAside has the service publish, and a process of its own listen.
func (c *scene) listenAside(t *testing.T, clientID string) *child {
	t.Helper()
	listener := c.start(t, clientID, 0)
	c.beginBeside(t, listener)
	return listener
}

// beginBeside has the service publish once another listens.
func (c *scene) beginBeside(t *testing.T, listener worker) {
	t.Helper()
	listener.awaitReady(t)
	require.NoError(t, c.join())
	c.publish()
	c.awaitFlow(t)
}
