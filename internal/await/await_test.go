package await_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sgtickets/common/internal/await"
)

// TestDoExits: what ends its goroutine, as a test's FailNow does, is waited for no longer.
func TestDoExits(t *testing.T) {
	t.Parallel()
	_, err := await.Do(t.Context(), func() (int, error) { runtime.Goexit(); return 0, nil }, func(int) { t.Error("it has no result") })
	require.ErrorContains(t, err, "runtime.Goexit")
}

func TestDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, err := await.Do(t.Context(), func() (int, error) { return 7, nil }, nil)
		require.NoError(t, err)
		require.Equal(t, 7, v)

		failed := errors.New("failed")
		_, err = await.Do(t.Context(), func() (int, error) { return 0, failed }, nil)
		require.ErrorIs(t, err, failed)

		// What comes too late is handed to late.
		cause := errors.New("no time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		late := make(chan int, 1)
		started := time.Now()
		_, err = await.Do(ctx, func() (int, error) { time.Sleep(time.Minute); return 8, nil }, func(v int) { late <- v })
		require.ErrorIs(t, err, cause)
		require.Equal(t, time.Second, time.Since(started))
		require.Equal(t, 8, <-late)

		// What fails too late is not, and nothing is left behind.
		_, err = await.Do(ctx, func() (int, error) { time.Sleep(time.Minute); return 0, failed }, func(int) { t.Error("not a result") })
		require.ErrorIs(t, err, cause)
		time.Sleep(2 * time.Minute)
	})
}

// TestCause: it matches what ended the context and why, and reads once.
func TestCause(t *testing.T) {
	t.Parallel()
	expired, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	left := errors.New("the user left")
	for text, cause := range map[string]error{
		"context canceled":                               nil,
		"context canceled: the user left":                left,
		"context deadline exceeded":                      await.Cause(expired),
		"no answer within 2s: context deadline exceeded": fmt.Errorf("no answer within 2s: %w", context.DeadlineExceeded),
		"the server went: context canceled":              fmt.Errorf("the server went: %w", context.Canceled),
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		err := await.Cause(ctx)
		require.EqualError(t, err, text)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, context.Cause(ctx))
	}
}

// TestWithGrace: what keeps to its context is waited for, also a moment beyond; what does
// not is left behind.
func TestWithGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeps := errors.New("in time")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, keeps, await.WithGrace(ctx, func(ctx context.Context) error { <-ctx.Done(); return keeps }))

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		err := await.WithGrace(ctx, func(context.Context) error { time.Sleep(time.Minute); return nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 1025*time.Millisecond, time.Since(started))
		time.Sleep(time.Minute)
	})
}
