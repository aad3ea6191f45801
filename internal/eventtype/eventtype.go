// Package eventtype checks the type parameter of publishers and listeners.
package eventtype

import (
	"fmt"
	"reflect"

	"github.com/sgtickets/common/events"
	"github.com/sgtickets/common/subjects"
	"github.com/sgtickets/common/transport"
)

// Subject returns the subject of T, or an error that matches
// transport.ErrInvalid if T can't be published or received.
func Subject[T events.Event]() (subjects.Subject, error) {
	t := reflect.TypeFor[T]()
	switch t.Kind() {
	case reflect.Interface:
		return "", fmt.Errorf("%w event type %v: it is an interface; use the struct type itself, so that what arrives can be decoded", transport.ErrInvalid, t)
	case reflect.Pointer:
		return "", fmt.Errorf("%w event type %v: it is a pointer; use %v", transport.ErrInvalid, t, t.Elem())
	default:
	}
	var zero T
	subject := zero.Subject()
	if err := subjects.Valid(string(subject)); err != nil {
		return "", fmt.Errorf("%w event type %v: its Subject method: %w", transport.ErrInvalid, t, err)
	}
	return subject, nil
}
