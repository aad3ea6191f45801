// Package option applies the options of a constructor to what they set. Each package has
// its own type of option, a func(*options) error, so that every option can refuse what it
// is given; this package has the loop over them.
package option

import "fmt"

// Apply calls the options in their order with target, and returns the error of the first
// that fails, as it is. A nil option is an error that matches invalid.
func Apply[T any, O ~func(*T) error](invalid error, target *T, opts []O) error {
	for i, opt := range opts {
		if opt == nil {
			return fmt.Errorf("%w option: nil (number %d of %d); leave it out", invalid, i+1, len(opts))
		}
		if err := opt(target); err != nil {
			return err
		}
	}
	return nil
}
