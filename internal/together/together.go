// Package together runs functions side by side, until all have returned.
package together

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// errGoexit is the error of a function that did not return.
var errGoexit = errors.New("it ended its goroutine with runtime.Goexit (a test's FailNow does so), and did not return")

// Run calls all functions, each on a goroutine of its own, with a context that ends with
// ctx, or when one of them returns an error. It returns when all have returned, with their
// errors joined. A function that calls runtime.Goexit has failed.
func Run(ctx context.Context, functions []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(functions))
	var running sync.WaitGroup
	for i, f := range functions {
		running.Go(func() {
			errs[i] = fmt.Errorf("function %d of %d: %w", i+1, len(functions), errGoexit)
			defer func() {
				if errs[i] != nil {
					cancel()
				}
			}()
			errs[i] = f(ctx)
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
