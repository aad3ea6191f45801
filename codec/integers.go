package codec

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"sync"
)

// LargeIntegers is what [JSON] does about Go integers beyond ±(2^53-1), which JavaScript
// reads as another number: 9007199254740993 becomes 9007199254740992.
type LargeIntegers int

const (
	// WarnOfLargeIntegers writes them, and logs a warning once for each field.
	WarnOfLargeIntegers LargeIntegers = iota
	// RefuseLargeIntegers refuses the event, with an error that matches [ErrLargeInteger].
	RefuseLargeIntegers
)

// ErrLargeInteger is matched by what a codec with [RefuseLargeIntegers] returns.
var ErrLargeInteger = errors.New("integer beyond ±(2^53-1), which JavaScript reads as another number")

// WithLogger returns c, a [JSON], with a logger for the warnings of [WarnOfLargeIntegers],
// each of which comes once. publisher.New gives its codec the client's logger; without one
// they go to slog.Default(). Any other codec is returned as it is, one that embeds a JSON
// included.
func WithLogger(c Codec, l *slog.Logger) Codec { //nolint:ireturn // what it returns is what it was given
	j, isJSON := c.(JSON)
	if !isJSON || l == nil {
		return c
	}
	j.warnings = &warnings{log: l}
	return j
}

// warnings are those given already.
type warnings struct {
	log    *slog.Logger // nil: slog.Default()
	fields sync.Map     // of struct{} by the field's name
}

// unlogged are the warnings of a codec without a logger.
var unlogged warnings

// waysOut is what an author can do.
const waysOut = "tag the field with the option string, as in `json:\"name,string\"`, here and wherever it is read; or make it a string; or keep it within ±(2^53-1)"

func (w *warnings) warn(event reflect.Type, l largeInteger) {
	if _, again := w.fields.LoadOrStore(l.field(), struct{}{}); again {
		return
	}
	log := w.log
	if log == nil {
		log = slog.Default()
	}
	log.Warn("event with an integer beyond ±(2^53-1): JavaScript reads it as another number; "+waysOut,
		slog.String("type", event.String()), slog.String("field", l.field()), slog.String("number", l.number))
}

// checkIntegers warns of the large integers of the event that v points to, or refuses it.
func (j JSON) checkIntegers(v any) error {
	event := reflect.ValueOf(v)
	if event.Kind() != reflect.Pointer || event.IsNil() || !holdsLarge(event.Type().Elem()) {
		return nil
	}
	w := j.warnings
	if w == nil {
		w = &unlogged
	}
	event = event.Elem()
	var err error
	look := looker{found: func(l largeInteger) {
		switch {
		case j.LargeIntegers != RefuseLargeIntegers:
			w.warn(event.Type(), l)
		case err == nil:
			err = fmt.Errorf("encode %v: %w: field %s is %s; %s", event.Type(), ErrLargeInteger, l.field(), l.number, waysOut)
		}
	}}
	look.into(event, largeInteger{within: event.Type()})
	return err
}

// largeInteger is one, and where it is.
type largeInteger struct {
	within reflect.Type // the struct
	name   string       // of its field; it may be in a list or a map there
	number string
}

func (l largeInteger) field() string {
	if l.name == "" {
		return l.within.String()
	}
	return l.within.String() + "." + l.name
}

// looker looks for large integers.
type looker struct{ found func(largeInteger) }

// into looks into a value that was written.
func (l looker) into(v reflect.Value, at largeInteger) {
	s := shapeOf(v.Type())
	switch s.write {
	case asInt:
		if i := v.Int(); s.typ != durationType && isLarge(i) {
			at.number = strconv.FormatInt(i, 10)
			l.found(at)
		}
	case asUint:
		if u := v.Uint(); u > maxSafe {
			at.number = strconv.FormatUint(u, 10)
			l.found(at)
		}
	case asObject:
		for i := range s.fields {
			f := &s.fields[i]
			if value, ok := f.of(v); ok && !f.inString && holdsLarge(f.typ) && !f.omitted(value) {
				l.into(value, largeInteger{within: s.typ, name: f.goName})
			}
		}
	case asList:
		if holdsLarge(s.elem.typ) {
			for i := range v.Len() {
				l.into(v.Index(i), at)
			}
		}
	case asPointer:
		if !v.IsNil() {
			l.into(v.Elem(), at)
		}
	case asHeld:
		l.intoAny(v.Interface(), at)
	case asMap:
		if s.typ == anyMapType {
			l.intoAny(v.Interface(), at)
			return
		}
		l.intoHeld(v, s, at)
	default:
		l.intoHeld(v, s, at)
	}
}

// intoHeld looks into what a map or a pointer to a pointer holds.
func (l looker) intoHeld(v reflect.Value, s *shape, at largeInteger) {
	if implementsAny(s.typ, writesItself) || !holdsLarge(s.typ) {
		return
	}
	switch s.typ.Kind() {
	case reflect.Map:
		for held := v.MapRange(); held.Next(); {
			l.into(addressable(held.Value()), at)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			l.into(v.Elem(), at)
		}
	default:
	}
}

// intoAny looks into what an interface holds.
func (l looker) intoAny(v any, at largeInteger) {
	switch v := v.(type) {
	case nil, string, bool, float64:
	case map[string]any:
		for _, held := range v {
			l.intoAny(held, at)
		}
	case []any:
		for _, held := range v {
			l.intoAny(held, at)
		}
	default:
		if held := reflect.ValueOf(v); holdsLarge(held.Type()) {
			l.into(addressable(held), at)
		}
	}
}

// addressable returns v, or a copy that has an address.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	held := reflect.New(v.Type()).Elem()
	held.Set(v)
	return held
}

// maxSafe is the largest of the integers that JavaScript holds one by one.
const maxSafe = 1<<53 - 1

func isLarge(i int64) bool { return i > maxSafe || i < -maxSafe }

// isWide reports whether integers of a type can be large.
func isWide(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return t != durationType
	default:
		return false
	}
}

// holders remembers what holdsLarge found out.
var holders sync.Map // of bool by reflect.Type

// holdsLarge reports whether a value of t may hold a large integer.
func holdsLarge(t reflect.Type) bool {
	if holds, known := holders.Load(t); known {
		return holds.(bool) //nolint:forcetypeassert // nothing else is stored
	}
	holds := mayHoldLarge(t, make(map[reflect.Type]bool))
	holders.Store(t, holds)
	return holds
}

// mayHoldLarge looks into t. seen ends the walk of a type that holds itself.
func mayHoldLarge(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || implementsAny(t, writesItself) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface: // anything may be in it
		return true
	case reflect.Map, reflect.Pointer, reflect.Slice, reflect.Array:
		return mayHoldLarge(t.Elem(), seen)
	case reflect.Struct:
		s := shapeOf(t)
		for i := range s.fields {
			if f := &s.fields[i]; s.write == asObject && !f.inString && mayHoldLarge(f.typ, seen) {
				return true
			}
		}
		return false
	default:
		return isWide(t)
	}
}
