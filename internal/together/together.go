// Package together runs functions side by side, until all have returned.
package together

import (
	"context"
	"errors"
	"sync"
)

// Run calls all functions, each on a goroutine of its own, with a context that ends with
// ctx, or when one of them returns an error. It returns when all have returned, with their
// errors joined.
func Run(ctx context.Context, functions []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(functions))
	var running sync.WaitGroup
	for i, f := range functions {
		running.Go(func() {
			if errs[i] = f(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
