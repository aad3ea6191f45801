package outbox

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/internal/await"
)

// Drain waits until empty is closed, see [Outbox.Empty]. If ctx is done before, the error
// says what left counts by then, and matches ctx's.
func Drain(ctx context.Context, empty <-chan struct{}, left func() *Left) error {
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	remaining := left()
	if remaining.total == 0 {
		return nil
	}
	return fmt.Errorf("%v: %w", remaining, await.Cause(ctx))
}
