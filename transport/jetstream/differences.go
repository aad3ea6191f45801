package jetstream

import (
	"errors"
	"fmt"
	"strings"
)

// differences are the fields in which something differs from what was asked for.
type differences []string

// differ notes a field that differs, and why that matters.
func differ[T comparable](d *differences, field string, is, asked T, why string) {
	if is == asked {
		return
	}
	text := fmt.Sprintf("%s is %v, not %v", field, is, asked)
	if why != "" {
		text += " (" + why + ")"
	}
	*d = append(*d, text)
}

func (d differences) err() error {
	if len(d) == 0 {
		return nil
	}
	return errors.New(strings.Join(d, "; "))
}
