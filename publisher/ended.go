package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/sgtickets/common/internal/await"
)

// ended returns why ctx is done, to be wrapped in the error of a publish. The cause
// may be the error of another publish, as where one of a group fails: it is told
// as text alone, since what it matches is not true of this one.
func ended(ctx context.Context) error {
	err := await.Cause(ctx)
	if saysOutcome(err) {
		return fmt.Errorf("%w: %v", ctx.Err(), context.Cause(ctx)) //nolint:errorlint // see above
	}
	return err
}

// saysOutcome tells whether err says what became of a publish.
func saysOutcome(err error) bool {
	return errors.Is(err, ErrNotStored) || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrPending)
}
