package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/fakeconn"
	"github.com/sgtickets/common/observe"
	"github.com/sgtickets/common/transport"
)

func component(t *testing.T, c *client.Client, name string) *client.Component {
	t.Helper()
	p, err := c.Component(name)
	require.NoError(t, err)
	require.Equal(t, name, p.Name())
	return p
}

// TestComponentDegrades the client, until it takes that back or ends.
func TestComponentDegrades(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := on(t, &fakeconn.Conn{})
		one, two := component(t, c, "outbox"), component(t, c, "outbox")
		require.NoError(t, one.Degrade("no database", io.EOF))
		require.NoError(t, two.Degrade("no database", io.ErrClosedPipe))
		require.NoError(t, one.Degrade("full", nil))
		began := time.Now()
		require.Equal(t, client.Status{State: client.Degraded, Since: began, Reasons: []client.Reason{
			{Text: "outbox: no database", Err: io.ErrClosedPipe, Since: began}, {Text: "outbox: full", Since: began},
		}}, c.Status())
		two.Recover("no database")
		two.Recover("no database")
		two.Recover("full") // which it never said
		require.Len(t, c.Status().Reasons, 2, "the other one still says so")
		require.Equal(t, io.EOF, c.Status().Reasons[0].Err)
		one.Recover("no database")
		require.Len(t, c.Status().Reasons, 1)
		one.Close()
		one.Close()
		require.Equal(t, client.Connected, c.Status().State)
		require.ErrorIs(t, one.Degrade("full", nil), client.ErrClosed)
		require.Equal(t, client.Connected, c.Status().State)
		require.NoError(t, c.Close(t.Context()))
		require.ErrorIs(t, two.Degrade("full", nil), client.ErrClosed)
		_, err := c.Component("late")
		require.ErrorIs(t, err, client.ErrClosed)
	})
}

// TestComponentCheck: Healthy fails with the check's error, and waits for none beyond its time.
func TestComponentCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answer error
		pings := func(context.Context) error { return answer }
		c := on(t, &fakeconn.Conn{OnPing: pings})
		db := component(t, c, "database")
		component(t, c, "without a check")
		var checks atomic.Int32
		sick := errors.New("too many connections")
		require.NoError(t, db.Check(func(context.Context) error { checks.Add(1); return sick }))
		err := c.Healthy(t.Context())
		require.ErrorIs(t, err, sick)
		require.EqualError(t, err, `client "orders-1": component "database": too many connections`)

		answer = transport.ErrNoCluster
		require.ErrorIs(t, c.Healthy(t.Context()), client.ErrNoCluster)
		require.EqualValues(t, 1, checks.Load(), "the broker comes first")
		answer = nil

		hangs := make(chan struct{})
		require.NoError(t, db.Check(func(context.Context) error { <-hangs; return nil }))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, c.Healthy(ctx), context.DeadlineExceeded)
		require.Less(t, time.Since(began), 1100*time.Millisecond)
		close(hangs)

		require.NoError(t, db.Check(func(context.Context) error { panic("nil map") }))
		require.ErrorContains(t, c.Healthy(t.Context()), "its check panicked: nil map")
		db.Close()
		require.NoError(t, c.Healthy(t.Context()))
		require.ErrorIs(t, db.Check(func(context.Context) error { return nil }), client.ErrClosed)
		require.NoError(t, c.Close(t.Context()))
	})
}

// TestComponentTells those who watch, and the log.
func TestComponentTells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := on(t, &fakeconn.Conn{}, client.Logger(slog.New(slog.NewTextHandler(&log, nil))))
		log.Reset()
		events := c.Watch(t.Context())
		p := component(t, c, "outbox")
		require.NoError(t, p.Tell("1000 events wait", nil))
		require.NoError(t, p.Tell("an event was given up", io.EOF))
		require.NoError(t, c.Close(t.Context()))
		require.ErrorIs(t, p.Tell("late", nil), client.ErrClosed)
		var got []client.Event
		for e := range events {
			got = append(got, e)
		}
		now := time.Now()
		require.Equal(t, []client.Event{
			{Kind: client.EventComponent, Time: now, Component: "outbox", Text: "1000 events wait"},
			{Kind: client.EventComponent, Time: now, Component: "outbox", Text: "an event was given up", Err: io.EOF},
			{Kind: client.EventClosed, Time: now},
		}, got)
		require.Contains(t, log.String(), `level=INFO msg="a component of the client tells something" client=orders-1 component=outbox text="1000 events wait"`)
		require.Contains(t, log.String(), `level=WARN msg="a component of the client tells something" client=orders-1 component=outbox text="an event was given up" error=EOF`)
	})
}

// callsBack is a log that calls the component that reports, as one may that sends what it
// gets elsewhere.
type callsBack struct {
	slog.Handler

	call func()
}

func (h *callsBack) Enabled(context.Context, slog.Level) bool { return true }
func (h *callsBack) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *callsBack) Handle(context.Context, slog.Record) error {
	if call := h.call; call != nil {
		h.call = nil // not for what call logs
		call()
		h.call = call
	}
	return nil
}

// TestComponentsLogMayCallBack: no lock is held while the log is written.
func TestComponentsLogMayCallBack(t *testing.T) {
	t.Parallel()
	log := &callsBack{Handler: slog.DiscardHandler}
	c := on(t, &fakeconn.Conn{}, client.Logger(slog.New(log)), client.Observe(observe.Func(func(observe.Observation) {})))
	p, other := component(t, c, "outbox"), component(t, c, "inbox")
	done := make(chan struct{})
	go func() {
		defer close(done)
		events := c.Watch(t.Context())
		called := 0
		log.call = func() {
			called++
			p.Observe(observe.Observation{})
			assert.NoError(t, other.Degrade("log", io.EOF))
			other.Recover("log")
			_, _ = c.Status(), c.Healthy(t.Context())
		}
		assert.NoError(t, p.Degrade("down", io.EOF))
		p.Recover("down")
		assert.NoError(t, p.Tell("text", io.EOF))
		assert.NoError(t, p.Degrade("down", io.EOF))
		p.Close()
		assert.Equal(t, 5, called)
		log.call = nil
		assert.NoError(t, c.Close(t.Context()))
		var got []string
		for e := range events {
			if e.Component != "" || strings.HasPrefix(e.Reason, "outbox") {
				got = append(got, e.Kind.String())
			}
		}
		assert.Equal(t, []string{"degraded", "recovered", "component", "degraded", "recovered"}, got)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second): // never used up
		t.Fatal("the log waits for a lock that its caller holds")
	}
}

// TestComponentObserves: the client's observers get what it reports, until it ends.
func TestComponentObserves(t *testing.T) {
	t.Parallel()
	var got []observe.Observation
	both := make([]client.Option, 2)
	for i := range both {
		both[i] = client.Observe(observe.Func(func(o observe.Observation) { got = append(got, o) }))
	}
	c := on(t, &fakeconn.Conn{}, both...)
	p := component(t, c, "outbox")
	require.True(t, p.Observes())
	sent := observe.Observation{Kind: observe.Sent, Subject: "ticket:created", MessageID: "m1"}
	p.Observe(sent)
	require.Equal(t, []observe.Observation{sent, sent}, got)
	require.NoError(t, c.Close(t.Context()))
	p.Observe(sent)
	require.Len(t, got, 2)

	c = on(t, &fakeconn.Conn{})
	p = component(t, c, "outbox")
	require.False(t, p.Observes())
	p.Observe(sent)
	require.NoError(t, c.Close(t.Context()))
}

// TestComponentRefuses what can't be.
func TestComponentRefuses(t *testing.T) {
	t.Parallel()
	c := on(t, &fakeconn.Conn{})
	_, err := c.Component("")
	require.ErrorIs(t, err, client.ErrInvalid)
	p := component(t, c, "outbox")
	require.ErrorIs(t, p.Degrade("", nil), client.ErrInvalid)
	require.ErrorIs(t, p.Tell("", nil), client.ErrInvalid)
	require.ErrorIs(t, p.Check(nil), client.ErrInvalid)
	require.NoError(t, c.Close(t.Context()))
}

// TestComponentsComeAndGo while the client is asked and closed.
func TestComponentsComeAndGo(t *testing.T) {
	t.Parallel()
	c := on(t, &fakeconn.Conn{})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 200 {
				p, err := c.Component(fmt.Sprintf("component %d", n%3))
				if err != nil {
					assert.ErrorIs(t, err, client.ErrClosed)
					return
				}
				_ = p.Degrade("busy", nil)
				_ = p.Check(func(context.Context) error { return nil })
				_ = p.Tell("busy", nil)
				_ = c.Healthy(t.Context())
				p.Recover("busy")
				p.Close()
			}
		})
	}
	time.AfterFunc(10*time.Millisecond, func() { _ = c.Close(context.Background()) })
	wg.Wait()
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, client.Status{State: client.Closed, Since: c.Status().Since, Err: client.ErrClosed}, c.Status())
}

// TestFeatures are those of the transport.
func TestFeatures(t *testing.T) {
	t.Parallel()
	can := transport.Features{Headers: true, AckWaitUnit: time.Second}
	c := on(t, &fakeconn.Conn{Declared: can})
	require.Equal(t, can, c.Features())
	require.NoError(t, c.Close(t.Context()))
}
