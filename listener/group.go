package listener

import (
	"context"
	"fmt"

	"github.com/sgtickets/common/client"
	"github.com/sgtickets/common/internal/together"
	"github.com/sgtickets/common/transport"
)

// Runner is what [Run] runs: every [Listener], and any type of a service that embeds one.
type Runner = client.Runner

// Run listens with several listeners until ctx is done, or until one of them fails, which
// drains the others too. It returns when all have returned, with their errors joined.
// client.Run does that for a whole service: it ends with a signal, too, and closes the client.
func Run(ctx context.Context, ls ...Runner) error {
	if ctx == nil {
		return fmt.Errorf("run: %w", errNoContext)
	}
	if len(ls) == 0 {
		return fmt.Errorf("run: %w: no listeners", transport.ErrInvalid)
	}
	listens := make([]func(context.Context) error, len(ls))
	for i, l := range ls {
		if f, isFunc := l.(client.RunnerFunc); l == nil || isFunc && f == nil {
			return fmt.Errorf("run: %w listener %d of %d: nil", transport.ErrInvalid, i+1, len(ls))
		}
		listens[i] = l.Listen
	}
	return together.Run(ctx, listens)
}
