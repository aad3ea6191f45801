package listener

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sgtickets/common/transport"
)

// Runner is what [Run] runs: every [Listener], and any type of a service that
// embeds one.
type Runner interface {
	Listen(ctx context.Context) error
}

// Run listens with several listeners until ctx is done, or until one of them
// fails, which drains the others too. It returns when all have returned, with
// their errors joined.
func Run(ctx context.Context, ls ...Runner) error {
	if len(ls) == 0 {
		return fmt.Errorf("run: %w: no listeners", transport.ErrInvalid)
	}
	for i, l := range ls {
		if l == nil {
			return fmt.Errorf("run: %w listener %d of %d: nil", transport.ErrInvalid, i+1, len(ls))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(ls))
	var wg sync.WaitGroup
	for i, l := range ls {
		wg.Go(func() {
			if errs[i] = l.Listen(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
