package codec

import (
	"reflect"
	"sync"
)

// A plain struct is one of strings, numbers, booleans, times and plain structs, as
// most events are: all of its payload is known beforehand, but for the values. So it
// is written and read here: to the byte what the library writes, and to the value what
// it reads, several times as fast. All other types, values that can't be written, and
// payloads that JSON.stringify would not have written are the library's: it has the tokens
// of JSON, and asks writeAny and readAny (write.go, read.go) about what it would do in
// another way.

// plan is what the object of a plain struct holds, in the order in which it is written.
type plan []step

// step is a field of a plain struct.
type step struct {
	index []int  // of the field, through embedded structs
	name  string // quoted, with the colon
	kind  reflect.Kind
	time  bool
	omit  bool // an empty value is left out
	wide  bool // an integer that JavaScript may read as another one
	inner plan // of a struct
}

// plans remembers them by reflect.Type; nil for a type that is not plain.
var plans sync.Map

// planFor returns the struct that v points to and its plan, or nil if it is not plain.
func planFor(v any) (plan, reflect.Value) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return nil, p
	}
	t := p.Type().Elem()
	known, found := plans.Load(t)
	if !found {
		known, _ = plans.LoadOrStore(t, planOf(t))
	}
	plan, _ := known.(plan)
	return plan, p.Elem()
}

// planOf returns the plan for a type, or nil if it is not plain.
func planOf(t reflect.Type) plan {
	s := shapeOf(t)
	if s.write != asObject || s.read != asObject || len(s.faults) > 0 {
		return nil
	}
	p := make(plan, 0, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		if !f.isPlain(t) {
			return nil
		}
		step := step{
			index: f.index, name: f.quoted, kind: f.typ.Kind(), time: f.typ == timeType,
			omit: f.omitEmpty && f.typ.Kind() != reflect.Struct, wide: isWide(f.typ),
		}
		if f.shape.write == asObject {
			if step.inner = planOf(f.typ); step.inner == nil {
				return nil
			}
		}
		p = append(p, step)
	}
	return p
}

// isPlain reports whether a field of t is one that a plan may have; structs are looked at
// by themselves.
func (f *field) isPlain(t reflect.Type) bool {
	if f.omitZero || f.inString || !isPlainName(f.name) {
		return false
	}
	for _, i := range f.index { // nothing on the way is a pointer
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return false
		}
	}
	isObject := f.shape.write == asObject && f.shape.read == asObject
	return f.typ == timeType || isObject || f.shape.isScalar() && f.typ.Kind() != reflect.Float32
}

// isPlainName reports whether a name needs no escapes.
func isPlainName(name string) bool {
	if name == "" {
		return false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
