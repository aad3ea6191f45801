package codec

import (
	"errors"
	"fmt"
	"reflect"
)

// CheckEncode returns an error that names the field if c is a [JSON] and events of that
// type can't be encoded, whatever their values: because of a function, a channel or a
// complex number, of two fields of one name, of a tagged field that is not exported, or
// since the type is not written as an object. Of other codecs it knows nothing.
func CheckEncode(c Codec, event reflect.Type) error { return check(c, event, true) }

// CheckDecode is [CheckEncode] for decoding. It also refuses interfaces that have methods,
// and embedded pointers to structs that are not exported: nobody can say what to make of
// a value, and nobody can set such a pointer.
func CheckDecode(c Codec, event reflect.Type) error { return check(c, event, false) }

func check(c Codec, event reflect.Type, write bool) error {
	if _, isJSON := c.(JSON); !isJSON { // one that embeds a JSON may have a way of its own
		return nil
	}
	if event == nil {
		return errors.New("the type is nil")
	}
	k := checker{write: write, seen: make(map[reflect.Type]bool)}
	if err := k.object(event); err != nil {
		return err
	}
	return k.value(event, "")
}

// checker looks at all that a type holds.
type checker struct {
	write bool
	seen  map[reflect.Type]bool // ends the walk of a type that holds itself
}

// way is how the type is written, or read.
func (k checker) way(t reflect.Type) way {
	if k.write {
		return shapeOf(t).write
	}
	return shapeOf(t).read
}

// object refuses an event that is not an object in JSON.
func (k checker) object(t reflect.Type) error {
	itself := readsItself
	if k.write {
		itself = writesItself
	}
	switch way := k.way(t); {
	case way == asTime && shapeOf(t).time != nil:
		return fmt.Errorf("%v embeds a time.Time, and so is a time in JSON, and not an object: %w; give the field a name", t, ErrNotObject)
	case way == asObject, way == asMap, way == byLibrary && t.Kind() == reflect.Map && !implementsAny(t, itself):
		return nil
	case way == byLibrary && t != timeType && implementsAny(t, itself):
		return k.itself(t)
	default:
		return fmt.Errorf("%v is %w; make it a struct, with this as a field", t, ErrNotObject)
	}
}

// itself asks a type that writes itself for the zero value. What it can't say, or what
// it may say otherwise of another value, is for Encode to see.
func (k checker) itself(t reflect.Type) (err error) {
	defer func() {
		if recover() != nil { // the zero value is not one that it knows
			err = nil
		}
	}()
	if !k.write {
		return nil
	}
	payload, err := JSON{}.Encode(reflect.New(t).Interface())
	if len(payload) == 0 && errors.Is(err, ErrNotObject) {
		return fmt.Errorf("%v: its methods for JSON write what is %w", t, ErrNotObject)
	}
	return nil
}

// value refuses a type that can't be written or read; at says where it is.
func (k checker) value(t reflect.Type, at string) error {
	if k.seen[t] {
		return nil
	}
	k.seen[t] = true
	s := shapeOf(t)
	switch k.way(t) {
	case asObject:
		for _, f := range s.faults {
			if !k.write || !f.readOnly {
				f.field = join(at, f.field)
				return errors.New(f.String())
			}
		}
		for i := range s.fields {
			f := &s.fields[i]
			if err := k.value(f.typ, join(at, f.goName)); err != nil {
				return err
			}
		}
	case asList, asPointer, asMap:
		return k.value(t.Elem(), at)
	case byLibrary:
		return k.byLibrary(t, at)
	default:
	}
	return nil
}

func (k checker) byLibrary(t reflect.Type, at string) error {
	if t == timeType || implementsAny(t, readsItself) && !k.write || implementsAny(t, writesItself) && k.write {
		return nil
	}
	switch t.Kind() {
	case reflect.Slice: // of bytes
		return nil
	case reflect.Pointer:
		return k.value(t.Elem(), at)
	case reflect.Interface:
		if !k.write && t.NumMethod() > 0 {
			return fmt.Errorf("%s can't be read: nobody knows what %v a value is; make it a struct, or an any", named(at), t)
		}
		return nil
	case reflect.Map:
		if !k.isKey(t.Key()) {
			return fmt.Errorf("%s: a %v can't be the key of a map in JSON; use a string, a number or a type with MarshalText and UnmarshalText", named(at), t.Key())
		}
		return k.value(t.Elem(), at)
	default:
		return fmt.Errorf("%s is a %v, which JSON can't hold; leave it out with the tag `json:\"-\"`", named(at), t)
	}
}

// isKey reports whether a type can be the key of a map. The library takes a number for the
// name of a member, but not what a pointer to a number holds.
func (k checker) isKey(t reflect.Type) bool {
	pointer := t.Kind() == reflect.Pointer
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch k.way(t) {
	case asText, asNumber, asTime:
		return true
	case asInt, asUint, asFloat:
		return !pointer
	case byLibrary:
		return t.Kind() == reflect.Interface || implementsAny(t, readsItself) || implementsAny(t, writesItself)
	default:
		return false
	}
}

// named says where something is.
func named(at string) string {
	if at == "" {
		return "what it holds"
	}
	return "field " + at
}

// join names a field within another.
func join(at, field string) string {
	if at == "" {
		return field
	}
	return at + "." + field
}
