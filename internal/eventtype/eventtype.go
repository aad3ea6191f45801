// Package eventtype checks the type parameter of publishers and listeners.
package eventtype

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/sgtickets/common/codec"
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
	if t == reflect.TypeFor[events.DeadLetter]() {
		return "", fmt.Errorf("%w event type %v: its subject depends on its fields; listen with listener.NewDeadLetters, put events back with deadletter.Redrive",
			transport.ErrInvalid, t)
	}
	subject, err := ofZero[T]()
	if err != nil {
		return "", fmt.Errorf("%w event type %v: %w", transport.ErrInvalid, t, err)
	}
	if err := subjects.Valid(string(subject)); err != nil {
		return "", fmt.Errorf("%w event type %v: its Subject method: %w", transport.ErrInvalid, t, err)
	}
	known.Store(subject, struct{}{})
	return subject, nil
}

// known are the subjects of the types that this process has publishers or listeners for.
var known sync.Map // of subjects.Subject

// Known tells whether a subject is that of a type of events: one of the catalogue, or one
// that this process has a publisher or listener for. It is safe for concurrent use.
func Known(subject subjects.Subject) bool {
	_, ok := known.Load(subject)
	return ok || slices.Contains(subjects.All(), subject)
}

// Encodes returns an error that matches transport.ErrInvalid and names the field if the
// codec can't encode events of type T, whatever their values.
func Encodes[T events.Event](c codec.Codec) error {
	return invalid[T](codec.CheckEncode(c, reflect.TypeFor[T]()))
}

// Decodes is Encodes for decoding.
func Decodes[T events.Event](c codec.Codec) error {
	return invalid[T](codec.CheckDecode(c, reflect.TypeFor[T]()))
}

func invalid[T events.Event](err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w event type %v: %w", transport.ErrInvalid, reflect.TypeFor[T](), err)
}

// ofZero asks the zero value of T for its subject.
func ofZero[T events.Event]() (subject subjects.Subject, err error) {
	defer func() {
		if p := recover(); p != nil { // such as one promoted from an embedded nil
			err = fmt.Errorf("its Subject method panics on the zero value: %v", p)
		}
	}()
	var zero T
	return zero.Subject(), nil
}
