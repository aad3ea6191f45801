package publishing

import (
	"context"
	"errors"
	"fmt"

	"github.com/sgtickets/common/internal/await"
	"github.com/sgtickets/common/transport"
)

// ErrPending means that the outcome of a publish is not known yet.
var ErrPending = errors.New("pending")

// Cause returns why ctx is done, for the error of a publish. The cause may be the error of
// another publish, as where one of a group fails and ends the context of the others. Such a
// cause is included as text alone: what it matches is not true of this publish.
func Cause(ctx context.Context) error {
	err := await.Cause(ctx)
	if SaysOutcome(err) {
		return fmt.Errorf("%w: %v", ctx.Err(), context.Cause(ctx)) //nolint:errorlint // see above
	}
	return err
}

// SaysOutcome reports whether err says what became of a publish.
func SaysOutcome(err error) bool {
	return errors.Is(err, transport.ErrNotStored) || errors.Is(err, transport.ErrOutcomeUnknown) || errors.Is(err, ErrPending)
}
