package codec

import (
	"encoding"
	stdjson "encoding/json"
	"reflect"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// way is how the values of a type are written, or how they are read.
type way int

const (
	byLibrary way = iota // types with methods of their own, bytes, what is not JSON, and what is rare
	asText
	asBool
	asInt
	asUint
	asFloat
	asNumber // a json.Number
	asTime   // a time.Time, also one that is embedded or defined anew
	asObject // a struct
	asList   // a slice or an array
	asPointer
	asMap  // a map whose keys are texts
	asHeld // an interface; read if it has no methods
)

// shape is what is known of a type: how it is written and read.
type shape struct {
	typ         reflect.Type
	write, read way
	time        []int          // asTime: the index of the time within the struct; nil if the type is the time itself
	fields      []field        // asObject: in the order in which they are written
	byName      map[string]int // asObject: their places in fields
	faults      []fault        // asObject: why it can't be written or read
	elem        *shape         // asList, asPointer, asMap
}

// shapes remembers the shapes of types.
var shapes sync.Map // of *shape by reflect.Type

func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape) //nolint:forcetypeassert // nothing else is stored
	}
	made := make(map[reflect.Type]*shape) // a type may hold itself
	s := newShape(t, made)
	for t, s := range made {
		shapes.LoadOrStore(t, s)
	}
	return s
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	numberType   = reflect.TypeFor[stdjson.Number]()
	anyMapType   = reflect.TypeFor[map[string]any]()
)

// The interfaces by which a type writes and reads itself, as the library asks for them.
var (
	writesItself = []reflect.Type{
		reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[json.Marshaler](),
		reflect.TypeFor[encoding.TextAppender](), reflect.TypeFor[encoding.TextMarshaler](),
	}
	readsItself = []reflect.Type{
		reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
)

// implementsAny reports whether t or a pointer to it has the methods of one of them.
func implementsAny(t reflect.Type, interfaces []reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false // what it holds is asked
	}
	for _, i := range interfaces {
		if reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

// newShape makes the shape of t, unless it is in made.
func newShape(t reflect.Type, made map[reflect.Type]*shape) *shape {
	if s := made[t]; s != nil {
		return s
	}
	if known, ok := shapes.Load(t); ok {
		return known.(*shape) //nolint:forcetypeassert // nothing else is stored
	}
	s := &shape{typ: t}
	made[t] = s
	s.write, s.read = wayOf(t), wayOf(t)
	if implementsAny(t, writesItself) {
		s.write = byLibrary
	}
	if implementsAny(t, readsItself) {
		s.read = byLibrary
	}
	s.findTime()
	if s.write == asObject || s.read == asObject {
		s.findFields(made)
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Pointer, reflect.Map:
		s.elem = newShape(t.Elem(), made)
	default:
	}
	if t.Kind() == reflect.Interface && t.NumMethod() > 0 {
		s.read = byLibrary
	}
	return s
}

// wayOf is how a type without methods of its own is written and read.
func wayOf(t reflect.Type) way {
	if t == numberType {
		return asNumber
	}
	switch t.Kind() {
	case reflect.String:
		return asText
	case reflect.Bool:
		return asBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return asInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return asUint
	case reflect.Float32, reflect.Float64:
		return asFloat
	case reflect.Struct:
		return asObject
	case reflect.Array:
		return asList
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			return asList
		}
	case reflect.Pointer:
		if t.Elem().Kind() != reflect.Pointer {
			return asPointer
		}
	case reflect.Map:
		if key := t.Key(); wayOf(key) == asText && !implementsAny(key, writesItself) && !implementsAny(key, readsItself) {
			return asMap
		}
	case reflect.Interface:
		return asHeld
	default:
	}
	return byLibrary
}

// isScalar reports whether a value is written and read without looking into it.
func (s *shape) isScalar() bool {
	return s.write == s.read && s.write >= asText && s.write <= asFloat
}
