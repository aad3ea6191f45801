package session_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/internal/session"
	"github.com/sgtickets/common/transport"
)

// stuck is a connection whose Close takes as long as it wants.
type stuck struct {
	transport.Conn

	closes func(context.Context, *publishing.Window) error
	window **publishing.Window
}

func (s stuck) Close(ctx context.Context) error { return s.closes(ctx, *s.window) }

// TestCloseCountsWhatIsOpen: a connection that can't say in time what was not confirmed,
// since nats.go makes it wait, does not hide it.
func TestCloseCountsWhatIsOpen(t *testing.T) {
	t.Parallel()
	inTime := func(ctx context.Context, _ *publishing.Window) error { <-ctx.Done(); return context.Cause(ctx) }
	late := func(ctx context.Context, w *publishing.Window) error {
		<-ctx.Done()
		for range w.InFlight() { // it gives up what is left
			w.Release()
		}
		time.Sleep(time.Minute)
		return nil
	}
	const soon = time.Second + 25*time.Millisecond
	for name, c := range map[string]struct {
		closes  func(context.Context, *publishing.Window) error
		publish int
		says    string
		took    time.Duration
	}{
		"in time":            {inTime, 2, "context deadline exceeded", time.Second},
		"late":               {late, 2, "the connection is not closed yet, and 2 publishes not confirmed: context deadline exceeded", soon},
		"late, none is open": {late, 0, "the connection is not closed yet: context deadline exceeded", soon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var window *publishing.Window
				s := session.New(stuck{closes: c.closes, window: &window}, slog.New(slog.DiscardHandler), 10, false, nil)
				window = s.Window
				for range c.publish {
					entered, err := s.Window.TryAcquire()
					require.NoError(t, err)
					require.True(t, entered)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err := s.Close(ctx)
				require.EqualError(t, err, c.says)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, c.took, time.Since(began))
				time.Sleep(time.Minute) // so that nothing is left
			})
		})
	}
}

// TestCloseNamesThePublishesOnABusyMachine: what is to run when the context is done may run
// late, as every goroutine may. The publishes that are not confirmed are named all the same.
func TestCloseNamesThePublishesOnABusyMachine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := func(context.Context, *publishing.Window) error { time.Sleep(time.Minute); return nil }
		var window *publishing.Window
		s := session.New(stuck{closes: late, window: &window}, slog.New(slog.DiscardHandler), 10, false, nil)
		entered, err := s.Window.TryAcquire()
		require.NoError(t, err)
		require.True(t, entered)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.EqualError(t, s.Close(&busyMachine{Context: ctx}),
			"the connection is not closed yet, and 1 publish not confirmed: context deadline exceeded")
		time.Sleep(time.Minute) // so that nothing is left
	})
}

// busyMachine is a context that calls the first function that is to be called at its end too
// late.
type busyMachine struct {
	context.Context

	registered atomic.Int64
}

// Value hides the context below, so that package context asks AfterFunc.
func (*busyMachine) Value(any) any { return nil }

// AfterFunc is what context.AfterFunc calls.
func (c *busyMachine) AfterFunc(f func()) (stop func() bool) {
	if c.registered.Add(1) == 1 {
		return context.AfterFunc(c.Context, func() { time.Sleep(time.Second); f() })
	}
	return context.AfterFunc(c.Context, f)
}
