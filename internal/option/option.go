// Package option applies the options of a constructor to what they set. Each package has
// its own type of option, a func(*options) error, so that every option can refuse what it
// is given; this package has the loop over them.
package option

import (
	"fmt"
	"reflect"
)

// IsNil reports whether an interface holds nothing, or a nil pointer, which is what it is
// given where a variable was never set.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

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
