package publishing_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/publishing"
	"github.com/sgtickets/common/transport"
)

// fill takes all places of a window.
func fill(t *testing.T, size int) *publishing.Window {
	t.Helper()
	w := publishing.NewWindow(size)
	for range size {
		entered, err := w.TryAcquire()
		require.NoError(t, err)
		require.True(t, entered)
	}
	entered, err := w.TryAcquire()
	require.NoError(t, err)
	require.False(t, entered)
	return w
}

// TestWindowInBatches: who waits in a wide window is woken for several places at a
// time, and soon all the same where no more come free.
func TestWindowInBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := fill(t, 160)
		var entered atomic.Int32
		enter := func() {
			if w.Acquire(t.Context(), nil) == nil {
				entered.Add(1)
			}
		}
		for range 15 {
			go enter()
		}
		synctest.Wait()
		for range 9 {
			w.Release()
		}
		synctest.Wait()
		require.Zero(t, entered.Load(), "not one wake-up for each place")
		w.Release()
		synctest.Wait()
		require.EqualValues(t, 10, entered.Load())

		w.Release()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 11, entered.Load(), "no other comes free, and one waits no longer than that")

		// What is kept is not kept from who comes, behind those who were there before.
		w.Release()
		w.Release()
		go enter()
		synctest.Wait()
		require.EqualValues(t, 13, entered.Load())
		for range 3 {
			w.Release()
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 16, entered.Load())
	})
}

// TestWindowNarrow: in a narrow window each place counts.
func TestWindowNarrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := fill(t, 2)
		began := time.Now()
		time.AfterFunc(time.Second, w.Release)
		require.NoError(t, w.Acquire(t.Context(), nil))
		require.Equal(t, time.Second, time.Since(began))
	})
}

// TestWindowLeft: places that were kept for who waits no more are free.
func TestWindowLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := fill(t, 100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.AfterFunc(time.Second-time.Microsecond, w.Release)
		timeout := make(chan time.Time, 1)
		time.AfterFunc(time.Second-time.Nanosecond, func() { timeout <- time.Now() })
		require.ErrorIs(t, w.Acquire(ctx, timeout), publishing.ErrWindowFull)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		entered, err := w.TryAcquire()
		require.NoError(t, err)
		require.True(t, entered)

		require.ErrorIs(t, w.Acquire(ctx, nil), context.DeadlineExceeded)
		w.Close()
		require.ErrorIs(t, w.Acquire(t.Context(), nil), transport.ErrClosed)
		_, err = w.TryAcquire()
		require.ErrorIs(t, err, transport.ErrClosed)
	})
}
