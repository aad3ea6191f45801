package together_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sgtickets/common/internal/together"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun: one that fails ends the others, one that returns nil does not, and all are waited for.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := errors.New("first"), errors.New("second")
		began := time.Now()
		err := together.Run(t.Context(), []func(context.Context) error{
			func(context.Context) error { return nil },
			func(context.Context) error { time.Sleep(time.Minute); return first },
			func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Minute); return second },
		})
		require.Equal(t, 2*time.Minute, time.Since(began))
		require.ErrorIs(t, err, first)
		require.ErrorIs(t, err, second)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, together.Run(ctx, []func(context.Context) error{func(ctx context.Context) error { <-ctx.Done(); return nil }}))
		require.NoError(t, together.Run(t.Context(), nil))
	})
}

// TestRunGoexit: a function that ends its goroutine has failed, and ends the others.
func TestRunGoexit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		err := together.Run(t.Context(), []func(context.Context) error{
			func(ctx context.Context) error { <-ctx.Done(); return nil },
			func(context.Context) error { runtime.Goexit(); return nil },
		})
		require.ErrorContains(t, err, "function 2 of 2: it ended its goroutine with runtime.Goexit")
	})
}
